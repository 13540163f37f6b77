"""What a request costs the ledger: 50,000 people, 1,000 independent memberships a family.

A hundred of these were counted by the levels of a field.

Each line is one request from a cold start, as `site pass` makes it: the file is opened and read,
the cohorts are decided on, the answer is recorded and on disk. Prints a Markdown table.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from eucan_dask.families import EVERYTHING, read_span
from eucan_dask.ledger import Ask, Entry, Ledger

N_PEOPLE, RANK, FEWEST = 50_000, 1_000, 10
KEY = b"k" * 32
PEOPLE = tuple(f"person-{i:06d}" for i in range(N_PEOPLE))


LEVELS = np.random.default_rng(2).integers(0, 5, N_PEOPLE)


def question(columns: np.ndarray, name: str, *, counted: bool = False) -> Ask:
    return Ask(
        individuals=PEOPLE,
        criteria=columns,
        eligible=np.ones(N_PEOPLE, bool),
        definitions=tuple(f"{name} {j}" for j in range(columns.shape[1])),
        scope="",
        summands={"survival": ""},
        least=FEWEST,
        smallest=FEWEST,
        classifications=(LEVELS,) if counted else (),
    )


def random_cohorts(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.random((N_PEOPLE, n)) < rng.uniform(0.05, 0.95, n)


def filled(path: Path) -> None:
    """A ledger of two families, the criteria's and one summand's, each of full rank."""
    rng = np.random.default_rng(0)
    ledger = Ledger(path, KEY)
    for start in range(0, RANK, 50):
        asked = question(random_cohorts(rng, 50), f"filling {start}", counted=start < 100)
        decision = ledger.decide(asked)
        ledger.record(decision, Entry(f"run {start}", "survival", "freeze"))
    with ledger.vault.open() as box:
        ranks = {name: read_span(box, name, N_PEOPLE).rank for name in (EVERYTHING, "survival")}
    assert set(ranks.values()) == {RANK}, ranks


def timed(path: Path, columns: np.ndarray, name: str, *, warm: bool) -> list[float]:
    """Seconds to decide and to record, and of processor, in a process that may know the ledger."""
    ledger = Ledger(path, KEY)
    if warm:
        ledger.decide(question(columns, name))
    start, spent = time.perf_counter(), time.process_time()
    if not warm:
        ledger = Ledger(path, KEY)
    decision = ledger.decide(question(columns, name))
    middle = time.perf_counter()
    ledger.record(decision, Entry(name, "survival", "freeze"))
    end = time.perf_counter()
    return [middle - start, end - middle, end - start, time.process_time() - spent]


def main() -> None:
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.sqlite"
        start = time.perf_counter()
        filled(path)
        print(
            f"filled in {time.perf_counter() - start:.0f} s, {path.stat().st_size / 2**20:.0f} MiB"
        )
        print("\n| request | decide, s | record, s | together, s | of processor, s |")
        print("|---|---|---|---|---|")
        eight = random_cohorts(rng, 8)
        near = eight.copy()
        near[np.flatnonzero(near[:, 0])[:5]] = False
        for label, columns, warm in (
            ("1 new cohort", random_cohorts(rng, 1), False),
            ("8 new cohorts", eight, False),
            ("8 new cohorts, the ledger in memory", random_cohorts(rng, 8), True),
            ("8 cohorts five people off", near, False),
            ("the same 8 again", eight, False),
            ("the same 8 again, the ledger in memory", eight, True),
        ):
            seconds = timed(path, columns, label, warm=warm)
            print(f"| {label} | " + " | ".join(f"{s:.2f}" for s in seconds) + " |")


if __name__ == "__main__":
    main()
