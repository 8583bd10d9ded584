"""A simulator started: its HTTP and mail servers, on the loopback alone, in threads of this process."""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from belvedere.engine.b2.envelope import Holder
from belvedere.engine.services.world import World
from belvedere.observatory.keyfiles import issue
from belvedere.observatory.loopback import listening
from belvedere.observatory.services import simulator_mail
from belvedere.observatory.services.simulator import Simulator


@dataclass
class Running:
    """A simulator that answers: where, and its office's certificate holder."""

    simulator: Simulator
    base: str
    mail: tuple[str, int]
    office: Holder


def office(now: dt.datetime) -> Holder:
    """A made-up office's certificate and key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Holder(issue(simulator_mail.ADDRESS, key, start=now - dt.timedelta(days=30)), key)


@contextlib.contextmanager
def running(world: World, *, now: Callable[[], dt.datetime], port: int = 0, mail_port: int = 0) -> Iterator[Running]:
    """The simulator of a world while the block lasts; port 0: any."""
    held = office(now())
    simulator = Simulator(world, [held], now)
    mail = simulator_mail.server(simulator, port=mail_port or _free())
    mail.start()
    try:
        with listening(simulator.application, port) as base:
            yield Running(simulator, base, ("127.0.0.1", mail.port), held)
    finally:
        mail.stop()


def _free() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
