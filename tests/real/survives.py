"""What the rules would leave of public cohorts if their data were personal: docs/personal.md.

python tests/real/survives.py > docs/personal.md
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pandas as pd

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Refused
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.policy import Thresholds, template
from eucan_dask.result import Result
from eucan_dask.terms import Term
from eucan_dask.variables import NON_SILENT

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared" / "data"
PURPOSE = "DUO:0000006"
STEPS = (30, 90, 365)
EVERYBODY = (Cohort("everybody"),)
SEX = Term("sex", levels=("female", "male"))
AGE = Term("age_at_diagnosis")


def load(path: Path) -> ModuleType:
    """A file as a module, without putting its folder on the import path."""
    spec = importlib.util.spec_from_file_location(f"survives_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cohorts = load(HERE.parent / "cohorts.py")


@dataclass(frozen=True)
class Survey:
    """What is asked of one cohort: a gene that splits it, an outcome, terms and fields."""

    name: str
    maf: str
    gene: str
    outcome: str
    terms: tuple[Term, ...]
    fields: tuple[SummaryField, ...]

    @property
    def halves(self) -> tuple[Cohort, Cohort]:
        """People without and with a mutation of the gene."""
        gene = self.gene
        return (
            Cohort.of(f"{gene} not mutated", {"gene": gene, "mutated": False}),
            Cohort.of(f"{gene} mutated", {"gene": gene, "mutated": True}),
        )


AGE_AND_SEX = (
    SummaryField("age_at_diagnosis", edges=(40.0, 60.0)),
    SummaryField("sex", levels=("female", "male")),
)
GRADE = SummaryField("histological_grade", levels=("G1", "G2", "G3", "G4"))
SURVEYS = (
    Survey(
        "laml",
        "laml_maftools/tcga_laml.maf.gz",
        gene="DNMT3A",
        outcome="NPM1",
        terms=(Term(gene="DNMT3A"),),
        fields=(SummaryField("fab_classification", levels=tuple(f"M{i}" for i in range(8))),),
    ),
    Survey(
        "kirc",
        "tcga_mc3/mc3_kirc/mutations.maf.gz",
        gene="PBRM1",
        outcome="PBRM1",
        terms=(AGE, SEX),
        fields=(*AGE_AND_SEX, GRADE),
    ),
    Survey(
        "lgg",
        "tcga_mc3/mc3_lgg/mutations.maf.gz",
        gene="IDH1",
        outcome="IDH1",
        terms=(AGE, SEX),
        fields=(*AGE_AND_SEX, GRADE),
    ),
)


@dataclass(frozen=True)
class Row:
    """One question: what survives in each of the ways of `Ways.judged`."""

    asked: str
    left: tuple[str, ...]


@dataclass(frozen=True)
class Way:
    """A federation, and who adds its centres up."""

    federation: Federation
    aggregator: str = "none"


class Ways(NamedTuple):
    """One cohort asked in five ways: of personal data under each aggregator, and of public data.

    The totals of public data are judged by the recommended thresholds, or not at all.
    """

    none: Way
    trusted: Way
    masked: Way
    totals: Way
    public: Way

    @property
    def judged(self) -> tuple[Way, ...]:
        """Those whose answers are compared."""
        return self[:4]


@dataclass(frozen=True)
class Survived:
    """A cohort's rows, and its genes as personal and public centres give them."""

    survey: Survey
    n_centres: int
    n_people: int
    rows: tuple[Row, ...]
    genes: pd.DataFrame


def survey(asked: Survey, shared: Path, work: Path, public: Federation | None = None) -> Survived:
    """Everything asked of one cohort, in stores made under `work`; `public` if it is there."""
    build = cohorts.BUILDERS[asked.name]
    if public is None:
        public = Federation.open(build(work / "public", shared))
    personal = Federation.open(
        build(work / "personal", shared, data_class="personal", policy="recommended")
    )
    totals = Federation(
        public.members,
        name="rule on the totals",
        min_sites=public.min_sites,
        thresholds=recommended(),
        key=public.key,
        overlap="excluded",
    )
    own = (Way(personal, aggregator) for aggregator in ("none", "trusted", "masked"))
    ways = Ways(*own, Way(totals), Way(public))
    genes = ask_genes(asked, shared, ways)
    rows = (*gene_rows(genes), *curve_rows(asked, ways), *model_rows(asked, ways))
    summary = CohortSummary(fields=asked.fields)
    people = public.run(summary, purpose=PURPOSE).to_dataframe("individuals")["n"][0]
    fields = ", ".join(field.field for field in asked.fields)
    left = tuple(_left(put(way, summary).to_dataframe("summary"), "cells") for way in ways.judged)
    rows = (*rows, Row(f"`cohort_summary` {fields}", left))
    return Survived(asked, len(public.members), int(people), rows, genes)


def recommended() -> Thresholds:
    """The thresholds of the recommended policy."""
    table = tomllib.loads(template("recommended"))
    return Thresholds.from_toml(table["thresholds"], table["zeros"], where="recommended")


def ask_genes(asked: Survey, shared: Path, ways: Ways) -> pd.DataFrame:
    """Counts of every gene with a non-silent mutation, in every way."""
    maf = pd.read_csv(
        shared / asked.maf,
        sep="\t",
        comment="#",
        usecols=["Hugo_Symbol", "Variant_Classification"],
        keep_default_na=False,
    )
    changed = maf.loc[maf["Variant_Classification"].isin(NON_SILENT), "Hugo_Symbol"]
    panel = Panel(genes=tuple(sorted(changed.unique())))
    columns = ["n_mutated", "n_assayed", "frequency", "low", "high", "suppressed", "coverage"]
    tables = [
        put(way, MutationFrequency(), panel=panel)
        .to_dataframe()
        .set_index("gene")[columns]
        .add_prefix(f"{name}_")
        for name, way in ways._asdict().items()
    ]
    return pd.concat(tables, axis=1)


def gene_rows(genes: pd.DataFrame) -> Iterator[Row]:
    """What is left of all genes, and of the twenty most mutated ones."""
    most = genes.sort_values("public_n_mutated", ascending=False, kind="stable").iloc[:20]
    for some, title in ((genes, f"{len(genes):,} genes"), (most, "its 20 most mutated genes")):
        texts = tuple(_genes(some, who) for who in Ways._fields[:4])
        yield Row(f"`mutation_frequency`, {title}", texts)


def _genes(genes: pd.DataFrame, who: str) -> str:
    hidden = genes[f"{who}_suppressed"]
    low, high = (genes[f"{who}_{end}"] for end in ("low", "high"))
    bounded = hidden & low.notna() & high.notna()
    parts = [f"frequency of {_share(~hidden)}", f"bounds of {_share(bounded)}"]
    if bounded.any():
        parts.append(f"median width {(high - low)[bounded].median():.2f}")
    if not (bounded | ~hidden).all():
        parts.append(f"nothing of {int((hidden & ~bounded).sum())}")
    return ", ".join(parts)


def _share(which: pd.Series) -> str:
    return f"{int(which.sum()):,} ({100 * which.mean():.1f} %)"


def curve_rows(asked: Survey, ways: Ways) -> Iterator[Row]:
    """Grid points left of the curves at each step, and the log-rank test."""
    for step in STEPS:
        panel = Panel(times=tuple(float(t) for t in range(0, 3650 + 1, step)))
        for who, some in (("everybody", EVERYBODY), (f"by {asked.gene}", asked.halves)):
            tables = [put(way, Survival(), some, panel).to_dataframe("curve") for way in ways]
            followed = tables[-1]["n_at_risk"] > 0
            left = tuple(_left(table[followed], "grid points") for table in tables[:4])
            yield Row(f"`survival` {who}, step {step} d", left)
    tests = tuple(logrank(put(way, Survival(), asked.halves, panel)) for way in ways.judged)
    yield Row(f"log-rank by {asked.gene}", tests)


def logrank(result: Result) -> str:
    """Whether the log-rank test is given, and what hid it."""
    (row,) = result.to_dataframe("logrank").itertuples()
    if not row.suppressed:
        return "answered"
    rules = {f.rule for o in result.outcomes for f in o.findings if f.record == "logrank"}
    return ", ".join([row.reason, *(f"`{rule}`" for rule in sorted(rules))])


def model_rows(asked: Survey, ways: Ways) -> Iterator[Row]:
    """Whether the regressions are answered, from how many centres, or which rule refused."""
    words = " + ".join(label for term in asked.terms for label in term.labels)
    cox = CoxRegression(terms=asked.terms)
    logistic = LogisticRegression(outcome=Term(gene=asked.outcome), terms=asked.terms)
    for title, analysis in ((words, cox), (f"{asked.outcome} ~ {words}", logistic)):
        left = tuple(model(way, analysis) for way in ways[:3])
        yield Row(f"`{analysis.name}` {title}", (*left, "not judged"))


def model(way: Way, analysis: Analysis) -> str:
    """Answered, from how many centres, or the rules that refused."""
    try:
        result = put(way, analysis)
    except Refused as refusal:
        return f"refused: `{refusal.rule}`"
    lost = [outcome for outcome in result.outcomes if outcome.status != "answered"]
    if not lost:
        return "answered"
    rules = sorted({f"`{finding.rule}`" for outcome in lost for finding in outcome.findings})
    n = len(result.outcomes)
    return f"answered by {n - len(lost)} of {n} centres, the others refused: {', '.join(rules)}"


def put(
    way: Way,
    analysis: Analysis,
    some: Sequence[Cohort] = EVERYBODY,
    panel: Panel | None = None,
) -> Result:
    """The federation's answer, as the first question its centres are ever asked."""
    for member in way.federation.members:
        site = member.link._site
        shutil.rmtree(site.directory / "node", ignore_errors=True)
        site.__dict__.pop("ledger", None)
    return way.federation.run(
        analysis,
        purpose=PURPOSE,
        cohorts=some,
        panel=panel,
        tier="controlled",
        aggregator=way.aggregator,
    )


def _left(table: pd.DataFrame, what: str) -> str:
    shown = table[~table["suppressed"]]
    fewer = "" if (shown["coverage"] == 1).all() else ", some without every centre"
    return f"{len(shown)} of {len(table)} {what}{fewer}"


def markdown(surveys: list[Survived]) -> str:
    """The whole document."""
    parts = [HERE.joinpath("survives.md").read_text(encoding="utf-8")]
    for found in surveys:
        size = f"{found.n_people} people, {found.n_centres} centres"
        lines = [
            f"## TCGA-{found.survey.name.upper()}: {size}",
            "",
            "| asked | none | trusted | masked | rule on the totals |",
            "|---|---|---|---|---|",
            *(f"| {' | '.join((row.asked, *row.left))} |" for row in found.rows),
            "",
        ]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def main() -> int:
    """Write the document to standard output."""
    if not SHARED.is_dir():
        sys.stderr.write("the shared data are not here: ../shared/data is absent\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        found = [survey(asked, SHARED, Path(folder) / asked.name) for asked in SURVEYS]
        sys.path[:0] = [str(HERE), str(HERE.parent)]  # as tests/real/conftest.py does
        genotypes = importlib.import_module("survives_genotypes")
        kept = [
            genotypes.kept(study, SHARED, Path(folder) / study.name) for study in genotypes.STUDIES
        ]
    sys.stdout.write("\n".join([markdown(found), genotypes.markdown(kept)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
