"""Calls to several sites side by side, and who is still awaited, since when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from eucan_dask.links import Link

__all__ = ["AWAITED", "Progress", "moment", "side_by_side", "waiters", "watched"]

Progress = Callable[[int, int, str], None]
T = TypeVar("T")

AWAITED = "; waiting for "  # what follows changes while the step stays the same
TICK = 0.5  # seconds between two looks at who is awaited


@contextmanager
def waiters(links: Collection[Link], n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for sites; an error or Ctrl-C in the block stops the waiting."""
    stopped = False
    try:
        with ThreadPoolExecutor(max_workers=n_threads) as pool:
            try:
                yield pool
            except BaseException:
                stopped = True
                for link in links:
                    link.patient = False
                raise
    finally:
        if stopped:  # the threads are gone: a new question may wait again
            for link in links:
                link.patient = True


def side_by_side(
    links: Mapping[str, Link],
    call: Callable[[str], T],
    *,
    what: str,
    progress: Progress | None,
    quick: bool = False,
) -> dict[str, T]:
    """What `call` gives for every site; the first error stops the waiting for the others.

    Parameters
    ----------
    what
        The step, for `progress`, which is told of every answer and, while a link waits, twice a
        second of those awaited.
    quick
        The step is not worth a word unless someone is waited for.
    """
    tell = progress or (lambda done, total, text: None)
    with waiters(links.values(), len(links)) as pool:
        futures = {pool.submit(call, name): name for name in links}
        pending, n = set(futures), 0
        while pending:
            finished, pending = wait(pending, timeout=TICK, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                n += 1
                if not quick:
                    tell(n, len(futures), what)
            told = _awaited((futures[future], links[futures[future]]) for future in pending)
            if told:
                quick = False
                tell(n, len(futures), f"{what}{AWAITED}{told}")
    return {name: future.result() for future, name in futures.items()}


def watched(
    future: Future[T],
    links: Mapping[str, Link],
    *,
    step: tuple[int, int, str],
    progress: Progress | None,
) -> T:
    """The result of a future; while links wait, `progress` is told of whom at this step."""
    done, total, what = step
    while not wait([future], timeout=TICK).done:
        told = _awaited(links.items())
        if told and progress is not None:
            progress(done, total, f"{what}{AWAITED}{told}")
    return future.result()


def _awaited(pending: Iterable[tuple[str, Link]]) -> str:
    known = sorted((name, link.since) for name, link in pending)
    return ", ".join(f"{name} since {moment(since)}" for name, since in known if since is not None)


def moment(at: datetime) -> str:
    """A time of day; with its date if that is not today's."""
    today = at.date() == datetime.now(at.tzinfo).date()
    return f"{at:%H:%M}" if today else f"{at:%Y-%m-%d %H:%M}"
