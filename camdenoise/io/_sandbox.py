"""Run one function of this package in a process of its own that may use only so much.

A reader of untrusted files can be made to ask for memory without end, or to crash the interpreter
by nesting deeper than its stack. In a process with a cap the worst is an error message.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

_BOOT = """
import json, sys
path, home, name, arguments, memory = json.loads(sys.argv[1])
sys.path[:] = path
from camdenoise.io._sandbox import serve
serve(home, name, arguments, memory)
"""
# One thread, and an allocator that does not reserve more addresses than it uses.
_QUIET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
}


class SandboxError(ValueError):
    """The function failed, or needed more than it was allowed; the message says which."""


def run_in_sandbox(
    function: Callable[..., Any],
    *arguments: Any,
    memory: int,
    seconds: float,
    on_progress: Callable[[str, int, int], None],
) -> Any:
    """Call a function in a process of its own."""
    path = [entry or os.getcwd() for entry in sys.path]
    call = json.dumps([path, function.__module__, function.__name__, arguments, memory])
    with tempfile.TemporaryFile() as complaints, _start_child(call, complaints, seconds) as child:
        reply = _follow(child, on_progress)
        if reply is None:
            raise SandboxError(_explain_end(child, complaints, memory, seconds))
    if "os_error" in reply:
        raise OSError(*reply["os_error"])
    if "error" in reply:
        raise SandboxError(reply["error"])
    return reply["result"]


@contextlib.contextmanager
def _start_child(call: str, complaints: IO[bytes], seconds: float) -> Iterator[Any]:
    """Start the process, and see to it that it ends."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _BOOT, call],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env=os.environ | _QUIET,
        text=True,
    )
    child.timed_out = False  # type: ignore[attr-defined]

    def stop() -> None:
        child.timed_out = True  # type: ignore[attr-defined]
        child.kill()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield child
    finally:
        timer.cancel()
        child.kill()
        child.stdout.close()  # type: ignore[union-attr]
        child.wait()


def _follow(child: Any, on_progress: Callable[[str, int, int], None]) -> dict[str, Any] | None:
    """Pass on what the process reports; return its answer, None where it died without one."""
    for line in child.stdout:
        try:
            message: dict[str, Any] | list[Any] = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, list):
            on_progress(*message)
        else:
            child.wait()
            return message
    child.wait()
    return None


def _explain_end(child: Any, complaints: IO[bytes], memory: int, seconds: float) -> str:
    if child.timed_out:
        return f"it took more than {seconds:.0f} s."
    complaints.seek(0)
    lines = complaints.read()[-2000:].decode(errors="replace").strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    return (
        f"the process that read it ended with code {child.returncode}{last}. Either it is made to "
        f"do that, or it needs more than {memory / 2**30:.1f} GiB."
    )


def _cap_memory(memory: int) -> None:
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory if most == resource.RLIM_INFINITY else min(memory, most)
    # macOS refuses a limit below what is mapped already.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def serve(module: str, name: str, arguments: list, memory: int) -> None:
    """Answer `run_in_sandbox`: call the function and write its reports and result to stdout."""
    from importlib import import_module

    out = sys.stdout

    def send(message: Any) -> None:
        print(json.dumps(message), file=out, flush=True)

    function = getattr(import_module(module), name)
    _cap_memory(memory)
    try:
        send({"result": function(*arguments, on_progress=lambda *step: send(step))})
    except MemoryError:
        send({"error": f"it needs more than {memory / 2**30:.1f} GiB of memory."})
    except OSError as error:
        send({"os_error": [error.errno or 0, error.strerror or str(error), error.filename]})
    except ValueError as error:
        send({"error": str(error)})
