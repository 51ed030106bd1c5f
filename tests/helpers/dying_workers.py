"""Functions of workers that die; a module that other processes can import by its name."""

import os
import signal


def die_once(note):
    """Kill the process that comes here first."""
    try:
        os.close(os.open(note, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
