"""`python -m relay.cli.parent_watchdog COMMAND…`: become COMMAND, and receive SIGTERM if the parent dies without a word.

A parent that is killed cannot stop its children; on Linux the kernel can. Elsewhere this is COMMAND and no more.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replace this process by the command that the arguments are."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
