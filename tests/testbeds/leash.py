"""Become another program that is killed when the thread that started it ends.

Run as `python -S -E leash.py PARENT PROGRAM ARGUMENTS...`: a server must not outlive its test run,
however that run ends. Asking for the signal after the fork and before the exec, in a process of
its own, is safe in a program with threads; a hook between fork and exec is not.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Tie this process to its parent and become the command; never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # else it ended before the tie was made
        os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
