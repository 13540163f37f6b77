"""The blocks of one question: a few on their way while others are used, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from itertools import islice

from eucan_dask.errors import Unavailable
from eucan_dask.links import Link
from eucan_dask.request import Request
from eucan_dask.result import Result
from eucan_dask.standing import Standing
from eucan_dask.waiting import Progress, waiters, watched

__all__ = ["in_order"]

AHEAD = 8  # blocks on their way at once, where answers take their time


def in_order(
    ask: Callable[[Request], Result],
    blocks: Iterator[Request],
    *,
    numbers: range,
    links: Mapping[str, Link],
    roster: tuple[str, ...],
    standing: Standing | None,
    what: str,
    progress: Progress | None,
) -> Iterator[Result]:
    """What `ask` answers to each block.

    Parameters
    ----------
    numbers
        Of these blocks; it ends where the whole question does.
    roster
        The sites that answered the blocks before, if there are any.
    standing
        Of masked sums: until they were opened for some roster, blocks are asked one by one.
    what
        The step, for `progress`.

    Raises
    ------
    Unavailable
        If a site stops answering on the way.
    """
    ahead = 1 if all(link.prompt for link in links.values()) else AHEAD
    with waiters(links.values(), ahead) as pool:
        waiting: deque[Future[Result]] = deque()
        for number in numbers:
            n_most = ahead if standing is None or standing.sites else 1
            fresh = islice(blocks, n_most - len(waiting))
            waiting.extend(pool.submit(ask, block) for block in fresh)
            step = (number, numbers.stop, what)
            result = watched(waiting.popleft(), links, step=step, progress=progress)
            answered = tuple(o.site for o in result.outcomes if o.status == "answered")
            roster = roster or answered
            if answered != roster:
                lost = ", ".join(sorted(set(roster) ^ set(answered)))
                raise Unavailable(f"{lost} did not answer every block; resume the run later")
            if progress is not None:
                progress(number + 1, numbers.stop, what)
            yield result
