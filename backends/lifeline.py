"""A child never outlives its parent, however the parent ends.

The parent holds the other end of the child's standard input. When that end closes, the parent is gone, and the child
ends at once: this works on any operating system and needs no cooperation of a dying parent. On Linux the kernel is
asked to do the same, for the case that a library holds the interpreter lock and no thread can notice.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import sys
import threading

__all__ = ("follow_parent",)

_PR_SET_PDEATHSIG = 1
_STDIN = 0


def follow_parent() -> None:
    """End this process as soon as its parent has gone.

    Call it after reading what the parent had to say on standard input. Where standard input is no pipe, as in a
    program started by hand, this does nothing.
    """
    mode = os.fstat(_STDIN).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # A parent that died before this line shows as a closed pipe.
    threading.Thread(target=_end_with_stdin, name="lifeline", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(_STDIN, 4096):
        pass
    os._exit(1)
