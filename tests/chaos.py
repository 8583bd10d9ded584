"""A worker whose clock is wrong, for the tests that kill: python -m tests.chaos DATA SECONDS."""

import datetime as dt
import os
import signal
import sys
import threading


def main(folder: str, shift: float) -> None:
    from belvedere.cli import use_data

    use_data(folder)
    from django.utils import timezone

    right = timezone.now
    timezone.now = lambda: right() + dt.timedelta(seconds=shift)
    from belvedere.observatory.collect import worker

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    worker.run(stop=stopping.is_set)


if __name__ == "__main__":
    os.environ.pop("BELVEDERE_DATABASE_URL", None)
    main(sys.argv[1], float(sys.argv[2]))
