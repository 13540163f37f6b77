"""Attacks by who takes part: a site less, a site that is the attacker's, sums made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.init import init_federation
from eucan_dask.panel import Panel
from eucan_dask.parties import admit_asker
from eucan_dask.policy import TIERS
from eucan_dask.request import AGGREGATORS
from eucan_dask.testing.data import people
from eucan_dask.testing.planted import GENE_FREQUENCY
from tests.attack_people import Analyst, Answer, Strength, attack, attacked
from tests.simulated import make_site

GENES = tuple(GENE_FREQUENCY)
PANEL = Panel(genes=GENES)
CARRIERS = MutationFrequency()
EACH = 60
READ = "share of one site's counts that come out right"


def pooled(answer: Answer) -> dict[str, int]:
    """Mutated people of the pool by gene, where they are shown."""
    if answer.result is None:
        return {}
    found = answer.result.dataset
    shown = found["mutated_pool_hidden"].values.ravel() == 0
    counts = found["n_mutated"].values.ravel()
    return {gene: int(n) for gene, n, s in zip(GENES, counts, shown, strict=True) if s}


def own(directory: Path, name: str, parts: Sequence[int]) -> dict[str, int]:
    """Mutated people of one site by gene, as its own unprotected twin says."""
    number = "abcdefgh".index(name)
    twin = people(parts[number], seed=number, centre=name)
    return pooled(attacked(directory, [twin], protected=False).ask(CARRIERS, panel=PANEL))


def read(first: dict[str, int], second: dict[str, int], truth: dict[str, int]) -> float:
    """Share of the true counts that the first total less the second gives."""
    right = [first[g] - second[g] == n for g, n in truth.items() if g in first and g in second]
    return sum(right) / len(truth)


def fewer(analyst: Analyst, *left_out: str) -> Analyst:
    """The same analyst, who asks the other sites alone."""
    again = Analyst(analyst.file)
    members = again.federation.members
    again.federation.members = tuple(m for m in members if m.name not in left_out)
    return again


@attack(
    "A9 roster differencing",
    learned="counts of one site, from totals with and without it",
    measure=READ + " (before: pooled sums of a roster)",
    stopped_by="one_roster",
)
def rosters(directory: Path) -> Strength:
    sizes = [EACH] * 4
    simulated = [people(n, seed=i, centre="abcd"[i]) for i, n in enumerate(sizes)]
    truth = own(directory / "twin", "d", sizes)
    clear = attacked(directory / "before", simulated, protected=False)
    whole, part = (pooled(who.ask(CARRIERS, panel=PANEL)) for who in (clear, fewer(clear, "d")))
    masked = attacked(directory / "after", simulated, protected=True)
    options = {"panel": PANEL, "aggregator": "masked"}
    first = pooled(masked.ask(CARRIERS, **options))
    assert first, "the first roster is not answered: the test says nothing"
    tries = [
        fewer(masked, "d").ask(CARRIERS, **options),
        fewer(masked, "a", "b", "c").ask(CARRIERS, panel=PANEL, aggregator="none"),
        fewer(masked, "d").ask(CARRIERS, panel=PANEL, aggregator="none"),
        fewer(masked, "d").ask(CARRIERS, panel=PANEL, aggregator="trusted"),
    ]
    found = [read(first, pooled(again), truth) for again in tries]
    found.append(read(pooled(tries[1]), dict.fromkeys(GENES, 0), truth))
    return Strength(read(whole, part, truth), max(found))


@attack(
    "A26 sites of the attacker",
    learned="counts of one site, masked together with two that the analyst made up",
    measure=READ,
    stopped_by="peers",
)
def sybils(directory: Path) -> Strength:
    simulated = [people(EACH, seed=0, centre="a"), *(people(20, seed=9, centre=c) for c in "xy")]
    truth = own(directory / "twin", "a", [EACH])
    sites = [
        make_site(directory / "after", name, part, data_class="personal")
        for name, part in zip("axy", simulated, strict=True)
    ]
    file = directory / "after" / "federation.toml"
    init_federation(file, [str(site) for site in sites], min_sites=3, overlap="excluded")
    for site in sites:
        admit_asker(site, "analyst", file.with_suffix(".pub"), AGGREGATORS, tiers=TIERS)
    made_up = [pooled(attacked(directory / c, [p], protected=False).ask(CARRIERS, panel=PANEL))
               for c, p in zip("xy", simulated[1:], strict=True)]  # fmt: skip
    theirs = {g: made_up[0][g] + made_up[1][g] for g in GENES}
    clear = attacked(directory / "before", simulated, protected=False)
    whole = pooled(clear.ask(CARRIERS, panel=PANEL))
    answer = Analyst(file).ask(CARRIERS, panel=PANEL, aggregator="masked")
    assert answer.rules == {"peers"}, answer.words
    total = pooled(answer)
    return Strength(read(whole, theirs, truth), read(total, theirs, truth))


def insiders(rare: int) -> list[int]:
    """Carriers at three sites: the attacker's own makes any total large."""
    return [rare, rare, 40]


@attack(
    "A26 sums to lift others",
    learned="small counts of two sites, lifted over the threshold by the people of a third",
    measure=READ.replace("one site's", "the others'"),
    stopped_by="insider",
)
def lifted(directory: Path) -> Strength:
    """The third site ingests people it made up: half of them carry every gene."""
    from tests.attacks.crowd import crowd

    found = []
    for rare in (1, 2):
        parts = []
        for name, carriers in zip("abc", insiders(rare), strict=True):
            secret = np.arange(80) < carriers
            drawn = crowd(80, seed=30 + rare, secret=list(secret)).people
            rows = drawn.clinical
            for column in ("individual_id", "sample_id"):
                rows = rows.assign(**{column: f"{name}-" + rows[column]})
            mutations = drawn.mutations
            moved = replace(
                drawn,
                clinical=rows,
                mutations=mutations.assign(sample_id=f"{name}-" + mutations["sample_id"]),
                sample_assay={f"{name}-{k}": v for k, v in drawn.sample_assay.items()},
                calls=drawn.calls.rename(index=lambda i, name=name: f"{name}-{i}"),
            )
            parts.append(moved)
        for protected in (False, True):
            place = directory / f"{rare} {protected}"
            analyst = attacked(place, parts, protected=protected)
            how = {"aggregator": "masked"} if protected else {}
            answer = analyst.ask(CARRIERS, panel=Panel(genes=("TP53",)), **how)
            assert answer.result is not None, answer.words
            ds = answer.result.dataset
            shown = not ds["mutated_pool_hidden"].values.any()
            found.append(shown and int(ds["n_mutated"].values.sum()) - 40 == 2 * rare)
    return Strength(float(np.mean(found[::2])), float(np.mean(found[1::2])))
