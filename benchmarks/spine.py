"""What a question costs: bytes on the wire, tasks, time and memory, and time against pooled peers.

Simulated centres, so that anyone can repeat it: `make bench`. Ratios are medians over pairs of runs
made in turn in one process; single times on a shared machine mean little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from eucan_dask import (
    Cohort,
    CoxRegression,
    Federation,
    LogisticRegression,
    MutationFrequency,
    Panel,
    Survival,
    Term,
    demo,
)
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.testing.data import people, write_tables

PURPOSE = "DUO:0000006"
SEX = Term(field="sex", levels=("female", "male"))
AGE = Term(field="age_at_diagnosis")
COHORTS = (
    Cohort.of("mutated", {"gene": "TP53", "mutated": True}),
    Cohort.of("not mutated", {"gene": "TP53", "mutated": False}),
)
GENES = ("APC", "BRAF", "EGFR", "IDH1", "KRAS", "NF1", "PIK3CA", "PTEN", "RB1", "TP53")


def pooled_tables(n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The people of all centres in two tables, as an analyst with pooled data would hold them."""
    parts = [
        people(n, seed=demo.SEED + i, centre=name, hazard=hazard)
        for i, (name, (_, hazard)) in enumerate(demo.CENTRES.items())
    ]
    clinical = pd.concat([p.clinical.assign(centre=i) for i, p in enumerate(parts)])
    return clinical.drop_duplicates("individual_id"), pd.concat([p.mutations for p in parts])


def peers(clinical: pd.DataFrame, mutations: pd.DataFrame) -> dict[str, Callable[[], object]]:
    """The same answers from pooled tables: pandas, lifelines, statsmodels."""
    import lifelines
    import statsmodels.api as sm

    carriers = set(
        mutations.loc[
            (mutations["gene"] == "TP53") & (mutations["classification"] != "Silent"), "sample_id"
        ]
        .str.rsplit("-", n=1)
        .str[0]
    )
    frame = clinical.dropna(
        subset=["age_at_diagnosis", "overall_survival_days", "overall_survival_event"]
    )
    frame = pd.DataFrame(
        {
            "time": frame["overall_survival_days"],
            "event": frame["overall_survival_event"],
            "age": frame["age_at_diagnosis"],
            "male": (frame["sex"] == "male").astype(float),
            "centre": frame["centre"],
            "tp53": frame["individual_id"].isin(carriers).astype(float),
        }
    )
    design = sm.add_constant(
        pd.concat(
            [frame[["age", "male"]], pd.get_dummies(frame["centre"], drop_first=True, dtype=float)],
            axis=1,
        ).rename(columns=str)
    )
    columns = ["time", "event", "age", "male", "centre"]

    def frequency() -> object:
        loud = mutations[mutations["classification"] != "Silent"]
        person = loud["sample_id"].str.rsplit("-", n=1).str[0]
        return person.groupby(loud["gene"]).nunique()

    def survival() -> object:
        for _, group in frame.groupby("tp53"):
            lifelines.KaplanMeierFitter().fit(np.ceil(group["time"] / 30), group["event"])
        both = frame["time"], frame["tp53"], frame["event"]
        return lifelines.statistics.multivariate_logrank_test(*both)

    def cox() -> object:
        fitter = lifelines.CoxPHFitter(strata=["centre"])
        return fitter.fit(frame[columns], "time", "event")

    def logistic() -> object:
        return sm.Logit(frame["tp53"], design).fit(disp=0)

    return {
        "mutation_frequency": frequency,
        "survival": survival,
        "cox_regression": cox,
        "logistic_regression": logistic,
    }


def questions(federation: Federation) -> dict[str, Callable[[], object]]:
    """The same answers from the federation."""
    grid = Panel(times=tuple(float(t) for t in range(0, 3601, 30)))
    ask = federation.run
    cox = CoxRegression(terms=(AGE, SEX))
    logistic = LogisticRegression(outcome=Term(gene="TP53"), terms=(AGE, SEX))
    genes = Panel(genes=GENES)
    return {
        "mutation_frequency": lambda: ask(MutationFrequency(), purpose=PURPOSE, panel=genes),
        "survival": lambda: ask(Survival(), purpose=PURPOSE, panel=grid, cohorts=COHORTS),
        "cox_regression": lambda: ask(cox, purpose=PURPOSE),
        "logistic_regression": lambda: ask(logistic, purpose=PURPOSE),
    }


def build(out: Path, n: int) -> Path:
    """A federation of three centres with `n` people each."""
    demo.CENTRES = {name: (n, hazard) for name, (_, hazard) in demo.CENTRES.items()}
    return demo.build_federation(out)


def pairs(ours: Callable[[], object], theirs: Callable[[], object], runs: int) -> dict[str, float]:
    """Median seconds of each, and the median ratio of pairs run in turn."""
    ours()
    theirs()
    mine, other = [], []
    for _ in range(runs):
        for call, seconds in ((ours, mine), (theirs, other)):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(mine, other, strict=True)]
    return {
        "federated_seconds": statistics.median(mine),
        "pooled_seconds": statistics.median(other),
        "ratio": statistics.median(ratios),
    }


def job_costs(federation: Path, out: Path) -> list[dict[str, object]]:
    """Each file of jobs/ as a command of its own: bytes, tasks, rounds, peak memory."""
    rows = []
    for job in sorted((Path(__file__).parent.parent / "jobs").glob("*.toml")):
        command = ["run", str(job), "--federation", str(federation), "--out", str(out / job.stem)]
        console = Path(sys.executable).with_name("eucan-dask")
        with subprocess.Popen([console, *command], stdout=subprocess.DEVNULL, stderr=-3) as child:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, job
        found = json.loads((out / job.stem / "provenance.json").read_text())["analyses"][0]
        rows.append(
            {
                "job": job.stem,
                "rounds": found["rounds"],
                "bytes to a site": max(s["bytes_in"] for s in found["sites"]),
                "bytes from a site": max(s["bytes_out"] for s in found["sites"]),
                "tasks a site": max(s["n_tasks"] for s in found["sites"]),
                "peak MiB": round(usage.ru_maxrss / 1024),
            }
        )
    return rows


def ingest_cost(n: int) -> dict[str, float]:
    """Ingest of one centre against reading the same tables with pandas."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        clinical, maf, assays = write_tables(people(n, seed=1), base / "tables")
        number = iter(range(10**6))

        def ours() -> None:
            store = base / f"store{next(number)}"
            common = {"store": store, "assembly": "GRCh38", "data_class": "synthetic"}
            ingest_clinical(clinical, mapping="plain", **common)
            ingest_maf(maf, assay=assays, unmatched="keep", **common)

        def theirs() -> None:
            pd.read_csv(clinical, sep="\t", dtype=str)
            pd.read_csv(maf, sep="\t", dtype=str)

        return pairs(ours, theirs, 3)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5000, help="people a centre")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        file = build(out / "federation", arguments.people)
        print(pd.DataFrame(job_costs(file, out)).to_string(index=False))
        clinical, mutations = pooled_tables(arguments.people)
        theirs = peers(clinical, mutations)
        rows = []
        with Federation.open(file) as federation:
            federation.hello()
            for name, ask in questions(federation).items():
                rows.append({"analysis": name, **pairs(ask, theirs[name], arguments.runs)})
    rows.append({"analysis": "ingest, against pandas.read_csv", **ingest_cost(arguments.people)})
    print(pd.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
