"""Parts made by several threads of this process, which share one model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa
from threadpoolctl import threadpool_limits

from camdenoise.stream._parts import Part, Transform


def in_threads(n_threads: int) -> Callable[[Iterable[Part], Transform], Iterator[Part]]:
    """Make parts by threads, each with a record batch of its own.

    A net this small gains little from several threads for one batch, and what is done around it has
    one thread anyway.

    Parameters
    ----------
    n_threads : int
        How many, usually one for each core. Torch and BLAS are told to use no further ones.

    Returns
    -------
    callable
        For the parameter `make_parts` of `write_parts`. Parts come in their order; one is read
        ahead.

    Examples
    --------
    >>> from functools import partial
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.stream import denoise_batches, in_threads, wafer_batch
    >>> parts = [(0, [wafer_batch(make_wafer_maps(3, random_state=0).maps)])]
    >>> transform = partial(denoise_batches, denoiser=MedianFilter())
    >>> [(number, made.num_rows) for number, (made,) in in_threads(2)(parts, transform)]
    [(0, 3)]
    """

    def make_parts(parts: Iterable[Part], transform: Transform) -> Iterator[Part]:
        import torch

        pool = ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,))
        # Threads of BLAS wait for each other even where the matrices are too small for them.
        with threadpool_limits(1, user_api="blas"):
            try:
                running: deque[tuple[int, list[Future]]] = deque()
                for number, part in parts:
                    made = [pool.submit(_transform_batch, transform, batch) for batch in part]
                    running.append((number, made))
                    if len(running) > 1:
                        yield _collect(*running.popleft())
                while running:
                    yield _collect(*running.popleft())
            finally:
                # Who stops the run should not wait for batches that nobody has begun.
                pool.shutdown(cancel_futures=True)

    return make_parts


def _transform_batch(transform: Transform, batch: pa.RecordBatch) -> pa.RecordBatch:
    (made,) = transform([batch])
    return made


def _collect(number: int, batches: list[Future]) -> Part:
    return number, [batch.result() for batch in batches]
