"""What the rules would leave of public genotypes if they were personal, for docs/personal.md."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from genomes import BUILDERS, POPULATIONS, asthma_alleles, regenie_labels, vcf_labels

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.analysis import Analysis
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Refused
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.result import Result, SiteOutcome, joined
from eucan_dask.terms import Term
from eucan_dask.variant_panel import VariantPanel
from tests.simulated import edit

HERE = Path(__file__).resolve().parent
PURPOSE = "DUO:0000006"
EVERYBODY = (Cohort("everybody"),)
BY_POPULATION = tuple(
    Cohort.of(name, {"field": "population", "equals": name}) for name in POPULATIONS
)
# Belgium (14 people) and Estonia (6) have too few for 10 with ALT and 10 without.
LARGE = "Australia France Germany Norway Spain Sweden Switzerland UK".split()
IN_LARGE = (Cohort.of("large", {"field": "country", "in": LARGE}),)
SEX = Term("sex", levels=("female", "male"))
HWE = "Hardy-Weinberg test"


@dataclass(frozen=True)
class Question:
    """An analysis of everybody, or of these cohorts."""

    title: str
    analysis: Analysis
    cohorts: tuple[Cohort, ...] = EVERYBODY

    @property
    def tier(self) -> str:
        """That of whole genomes; any other is refused by `max_exposure` after some hundreds."""
        return "controlled"


@dataclass(frozen=True)
class Study:
    """A federation of `genomes`, its variants and what is asked of them."""

    name: str
    title: str
    variants: Callable[[Path], Sequence[str]]
    questions: tuple[Question, ...]


def hapmap_labels(shared: Path) -> Sequence[str]:
    return vcf_labels(shared / "germline_hapmap" / "hapmap_279.vcf.gz")


FREQUENCY = Question("`allele_frequency` everybody", AlleleFrequency())
STUDIES = (
    Study(
        "hapmap",
        "HapMap: 279 people, 4 sites, 9,087 variants",
        hapmap_labels,
        (
            FREQUENCY,
            Question("`allele_frequency` by population", AlleleFrequency(), BY_POPULATION),
            Question(
                "`linear_association` being male ~ dosage",
                LinearAssociation(traits=(Term("male"),)),
            ),
        ),
    ),
    Study(
        "hapmap dealt to four",
        "HapMap, people of every population at each of 4 sites",
        hapmap_labels,
        (FREQUENCY,),
    ),
    Study(
        "regenie",
        "The example of regenie: 500 people, 3 sites, 1,000 variants",
        lambda shared: regenie_labels(shared / "gwas_regenie" / "example.bim"),
        (
            FREQUENCY,
            Question(
                "`linear_association` Y1 ~ dosage + V1 + V2 + V3",
                LinearAssociation(traits=(Term("y1"),), terms=(Term("v1"), Term("v2"), Term("v3"))),
            ),
        ),
    ),
    Study(
        "asthma",
        "Asthma: 1,578 people, 10 sites, 51 variants",
        lambda shared: tuple(asthma_alleles(shared)["variant"]),
        (
            FREQUENCY,
            Question("`allele_frequency` without Belgium and Estonia", AlleleFrequency(), IN_LARGE),
            Question(
                "`linear_association` body-mass index ~ dosage + age",
                LinearAssociation(traits=(Term("body_mass_index"),), terms=(Term("age"),)),
            ),
            Question(
                "`linear_association` body-mass index ~ dosage + age + sex",
                LinearAssociation(traits=(Term("body_mass_index"),), terms=(Term("age"), SEX)),
            ),
        ),
    ),
)


@dataclass(frozen=True)
class Answer:
    """A table with `suppressed`, and how the sites answered each block; none if refused."""

    table: pd.DataFrame | None
    outcomes: tuple[SiteOutcome, ...]
    refusal: str = ""

    @property
    def sites(self) -> list[str]:
        """Those that took part."""
        return sorted({o.site for o in self.outcomes if o.status == "answered"})

    def fell(self, records: Sequence[str]) -> str:
        """The rules by which sites hid something of these records, and at how many."""
        hit = {
            (finding.rule, outcome.site)
            for outcome in self.outcomes
            for finding in outcome.findings
            if finding.record in records and outcome.status == "answered"
        }
        rules = sorted({rule for rule, _ in hit} - {"needed_records"})
        told = [f"`{rule}` at {sum(one == rule for one, _ in hit)}" for rule in rules]
        return f"; fell by {', '.join(told)}" if told else ""


class Asked(NamedTuple):
    """A question, as the sites answer it under each aggregator, and one site with everybody."""

    question: Question
    none: Answer
    trusted: Answer
    masked: Answer
    one: Answer


@dataclass(frozen=True)
class Kept:
    """What is left of a study."""

    study: Study
    answers: tuple[Asked, ...]


def kept(study: Study, shared: Path, work: Path) -> Kept:
    """Everything asked of one study, in personal stores made under `work`."""
    names = {"sites": study.name, "one": f"{study.name} as one"}
    options = {"data_class": "personal", "policy": "recommended"}
    variants = tuple(study.variants(shared))
    files = [BUILDERS[name](work / part, shared, **options) for part, name in names.items()]
    for file in files:
        with Federation.open(file) as federation:
            for member in federation.members:
                own = member.link._site.directory / "policy.toml"
                edit(own, {"controlled_aggregators": '["none", "trusted", "masked"]'})
    answers = []
    for question in study.questions:
        ways = [(files[0], name) for name in ("none", "trusted", "masked")] + [(files[1], "none")]
        found = []
        for file, aggregator in ways:
            with Federation.open(file) as federation:
                found.append(put(federation, question, variants, aggregator))
        answers.append(Asked(question, *found))
    return Kept(study, tuple(answers))


def put(
    federation: Federation, question: Question, variants: Sequence[str], aggregator: str
) -> Answer:
    """The answer, block by block, as the first question its sites are ever asked."""
    for member in federation.members:
        site = member.link._site
        shutil.rmtree(site.directory / "node", ignore_errors=True)
        site.__dict__.pop("ledger", None)
    asked = VariantPanel.of(variants)
    request = federation.request(
        question.analysis,
        purpose=PURPOSE,
        cohorts=question.cohorts,
        panel=Panel(variants=next(asked.blocks())),
        tier=question.tier,
        aggregator=aggregator,
    )
    try:
        results: list[Result] = list(federation.scan(request, asked))
    except Refused as refusal:
        return Answer(None, (), refusal.rule)
    outcomes = tuple(outcome for result in results for outcome in result.outcomes)
    return Answer(joined(results).to_dataframe(), outcomes)


def told(question: Question, answer: Answer, n_sites: int) -> str:
    """An answer in words: what is left, and which rules hid the rest."""
    if answer.table is None:
        return f"refused: `{answer.refusal}`"
    shown = ~answer.table["suppressed"]
    if question.analysis.kind == "variant_counts":
        tested = shown & answer.table["hwe_p_value"].notna()
        parts = [
            f"frequency of {share(shown)}{answer.fell(('called', 'alleles'))}",
            f"{HWE} of {share(tested)}{answer.fell(('genotypes',))}",
        ]
    else:
        parts = [f"{share(shown)}{answer.fell(('association',))}"]
    lost = sorted({o.site for o in answer.outcomes} - set(answer.sites))
    if lost:
        rules = {f"`{f.rule}`" for o in answer.outcomes if o.site in lost for f in o.findings}
        parts.append(f"{len(lost)} of {n_sites} sites refused: {', '.join(sorted(rules))}")
    return "; ".join(parts)


def share(which: pd.Series) -> str:
    """How many rows, and of how many."""
    return f"{int(which.sum()):,} of {len(which):,} ({100 * which.mean():.1f} %)"


def markdown(found: Sequence[Kept]) -> str:
    """The part of the document."""
    parts = [HERE.joinpath("survives_genotypes.md").read_text(encoding="utf-8")]
    for one in found:
        lines = [f"### {one.study.title}", ""]
        lines += ["| asked | none | trusted | masked | one site |", "|---|---|---|---|---|"]
        for question, *answers in one.answers:
            n = len({outcome.site for outcome in answers[0].outcomes})
            cells = (question.title, *(told(question, answer, n) for answer in answers))
            lines.append("| " + " | ".join(cells) + " |")
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)
