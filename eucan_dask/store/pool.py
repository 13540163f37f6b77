"""Worker processes that never outlive the ingest they work for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from eucan_dask.errors import Unavailable

__all__ = ["cores", "pool"]

_T = TypeVar("_T")


def cores() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def pool(workers: int) -> Iterator[Executor]:
    """An executor of so many processes; with one, the work is done here.

    Each worker dies at once when this process does, or when the context is left early. They leave
    Ctrl-C to this process.

    Raises
    ------
    Unavailable
        If a worker was killed.
    """
    if workers <= 1:
        yield _Here()
        return
    context = multiprocessing.get_context("spawn")
    stop, told = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(workers, context, initializer=_prepare, initargs=(stop,))
    try:
        yield executor
        executor.shutdown()
    except BrokenProcessPool as error:
        raise Unavailable(
            "a worker process was killed, perhaps for want of memory; the store is as it was; "
            'try again (a script that ingests needs `if __name__ == "__main__":`)'
        ) from error
    finally:
        told.close()  # whoever still works dies
        executor.shutdown(cancel_futures=True)
        stop.close()


def _prepare(stop: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        with suppress(EOFError, OSError):
            stop.recv_bytes()  # nothing is ever sent: it returns when the other end is gone
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


class _Here(Executor):
    """Does the work when it is submitted."""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        future: Future[_T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
