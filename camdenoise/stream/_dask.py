"""The same function on the workers of a Dask cluster: this process or a thousand others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa

from camdenoise.stream._parts import Part, Transform

if TYPE_CHECKING:
    from distributed import Client

#: Parts that are sent ahead for each worker thread: one to work on, one that waits.
_AHEAD = 2
_PATIENCE = "20s"
# Dask tells the GNU C library of its workers to give memory back at once. A net frees its feature
# maps after every layer and asks for as much again, page by page.
_ENVIRONMENT = "distributed.nanny.pre-spawn-environ"
_KEEP_FREED_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TOP_PAD_": str(2**27),
    "MALLOC_ARENA_MAX": "1",
}


def on_dask(client: Client) -> Callable[[Iterable[Part], Transform], Iterator[Part]]:
    """Make parts on a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster. Its workers need camdenoise and no shared disk: parts are sent to them and
        back, the transformation once to each. A worker computes with one torch thread, so give as
        many workers, or threads, as there are cores.

    Returns
    -------
    callable
        For the parameter `make_parts` of `write_parts`.

    Notes
    -----
    A part whose worker dies is made again by another one, up to the scheduler's
    ``allowed-failures``. The function is pure, so the result is the same.

    Examples
    --------
    >>> from functools import partial
    >>> from camdenoise.stream import denoise_batches, on_dask, open_source, write_parts
    >>> def denoise_on(address, file, out, denoiser):
    ...     from distributed import Client
    ...
    ...     with Client(address) as client:
    ...         transform = partial(denoise_batches, denoiser=denoiser)
    ...         batches = open_source(file).batches
    ...         return write_parts(out, batches, transform, make_parts=on_dask(client))
    """

    def make_parts(parts: Iterable[Part], transform: Transform) -> Iterator[Part]:
        from distributed import as_completed

        # As the result of a task, which is made again where a worker dies, unlike scattered data.
        sent = client.submit(_identity, transform, pure=False)
        waiting = iter(parts)
        running = as_completed([], with_results=True)
        n_running = 0
        while True:
            room = _AHEAD * max(1, sum(client.nthreads().values())) - n_running
            for number, part in islice(waiting, max(room, 0)):
                # Not pure to Dask: parts that are alike are still parts of their own.
                running.add(client.submit(_make, sent, number, _pack(part), pure=False))
                n_running += 1
            if not n_running:
                return
            future, (number, made) = next(running)
            future.release()
            n_running -= 1
            yield number, _unpack(made)

    return make_parts


def _identity(transform: Transform) -> Transform:
    return transform


def _make(transform: Transform, number: int, part: bytes) -> tuple[int, bytes]:
    """Run on a worker."""
    import torch

    torch.set_num_threads(1)
    return number, _pack(list(transform(_unpack(part))))


def _pack(batches: list[pa.RecordBatch]) -> bytes:
    """Write batches in Arrow's own form; a slice is written without the rest."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _unpack(packed: bytes) -> list[pa.RecordBatch]:
    with pa.ipc.open_stream(packed) as reader:
        return list(reader)


@contextmanager
def connect(scheduler: str | None, n_workers: int | None) -> Iterator[Client]:
    """Connect to a cluster, or start one of processes on this machine, a thread each."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ValueError("a cluster needs: pip install 'camdenoise[dask]'.") from error
    if scheduler:
        with Client(scheduler, timeout=_PATIENCE) as client:
            yield client
        return
    import dask

    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set({_ENVIRONMENT: _KEEP_FREED_MEMORY}),
        LocalCluster(n_workers=n_workers, **options) as cluster,
        Client(cluster) as client,
    ):
        yield client
