"""`python -m relay.cli.parent_watchdog COMMAND…`: run COMMAND in this process, and send it SIGTERM when the parent process dies.

A parent that is killed cannot stop its children, but the Linux kernel can. On other systems this only runs COMMAND.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replace this process with the command in the arguments."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - without a shell


if __name__ == "__main__":
    main()
