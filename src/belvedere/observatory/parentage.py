"""The processes of a house end with it, however it ends: killed, it says goodbye to nobody."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PARENT = "BELVEDERE_PARENT"  # set by `belvedere serve`: its processes end when the process of this number is no longer their parent


def orphaned() -> Callable[[], bool]:
    """Whether the house that started this process is gone; never, for one started by hand."""
    told = os.environ.get(PARENT)
    return lambda: bool(told) and os.getppid() != int(told or 0)


def end_with_parent() -> None:
    """Have Linux end this process when its parent does, and end now if that one is gone already: it may die while this process starts."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG
    if orphaned()():
        os._exit(0)
