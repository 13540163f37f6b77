"""What can be worked out of a release over cohorts that share people: by brute force."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask import bounds as rule
from eucan_dask import rules
from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis
from eucan_dask.case import Case
from eucan_dask.errors import Refused
from eucan_dask.intervals import Table, Tree
from eucan_dask.overlap import Overlap
from eucan_dask.panel import Panel
from eucan_dask.partial import Hidden, labelled
from eucan_dask.testing.cases import thresholds

Sets = tuple[frozenset[int], ...]  # each cohort: the parts it is made of

NESTED: Sets = (frozenset({0, 1}), frozenset({0}))
SPLIT: Sets = (frozenset({0, 1, 2}), frozenset({0}), frozenset({1}))
CHAIN: Sets = (frozenset({0, 1, 2}), frozenset({0, 1}), frozenset({0}))
ACROSS: Sets = (frozenset({0, 1}), frozenset({1, 2}))


def members(sets: Sets, sizes: tuple[int, ...]) -> np.ndarray:
    """Who is in each cohort (N, C), people part by part."""
    part = np.repeat(np.arange(len(sizes)), sizes)
    found = np.array([[p in held for held in sets] for p in part], dtype=bool)
    return found.reshape(-1, len(sets))


def sums(sets: Sets, parts: np.ndarray) -> np.ndarray:
    """Counts (..., C) of cohorts from those (..., A) of parts."""
    return np.stack([parts[..., sorted(held)].sum(axis=-1) for held in sets], axis=-1)


ONE = Panel(genes=("TP53",))


# --- intervals, against every table there is ---


def every(sizes: tuple[int, ...]) -> np.ndarray:
    return np.array(list(product(*(range(n + 1) for n in sizes))))


@st.composite
def trees(draw: st.DrawFn) -> tuple[Sets, tuple[int, ...], np.ndarray, np.ndarray]:
    """Nested cohorts, the people of each part, and bounds on counts that some table meets."""
    sets = draw(st.sampled_from((NESTED, SPLIT, CHAIN)))
    n_parts = len(frozenset().union(*sets))
    sizes = tuple(draw(st.integers(0, 4)) for _ in range(n_parts))
    true = np.array([draw(st.integers(0, n)) for n in sizes])
    counts = sums(sets, true)
    low = np.array([draw(st.integers(0, int(c))) for c in counts])
    high = np.array([int(c) + draw(st.integers(0, 3)) for c in counts])
    return sets, sizes, low, np.minimum(high, sums(sets, np.array(sizes)))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(drawn=trees())
def test_tree__bounds_are_those_of_every_table(
    drawn: tuple[Sets, tuple[int, ...], np.ndarray, np.ndarray],
) -> None:
    sets, sizes, low, high = drawn
    tables = every(sizes)
    counts = sums(sets, tables)
    held = ((counts >= low) & (counts <= high)).all(axis=1)
    overlap = Overlap.of_members(members(sets, sizes))
    people = sums(sets, np.array(sizes))[np.newaxis]
    tree = Tree(overlap, low[np.newaxis], high[np.newaxis], people)
    least, most = tree.bounds
    np.testing.assert_array_equal(least[0], counts[held].min(axis=0))
    np.testing.assert_array_equal(most[0], counts[held].max(axis=0))
    least, most = tree.rest_bounds
    for c, inner in enumerate(overlap.children):
        rest = counts[held][:, c] - counts[held][:, list(inner)].sum(axis=1)
        assert (least[0, c], most[0, c]) == (rest.min(), rest.max())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn=trees(), across=st.booleans())
def test_table__bounds_are_those_of_every_table(
    drawn: tuple[Sets, tuple[int, ...], np.ndarray, np.ndarray], *, across: bool
) -> None:
    sets, sizes, low, high = drawn
    if across:
        sets, sizes, low, high = ACROSS, (3, 2, 2), np.array([1, 2]), np.array([4, 2])
    tables = every(sizes)
    counts = sums(sets, tables)
    held = ((counts >= low) & (counts <= high)).all(axis=1)
    overlap = Overlap.of_members(members(sets, sizes))
    people = sums(sets, np.array(sizes))
    table = Table(overlap, low[np.newaxis], high[np.newaxis], people)
    for a, cohorts in enumerate(overlap.atoms):
        (part,) = (p for p in range(len(sizes)) if [p in s for s in sets] == cohorts.tolist())
        values = tables[held][:, part]
        weights = np.zeros((1, len(overlap.atoms)), np.int64)
        weights[0, a] = 1
        assert table.bounds(weights) == (values.min(), values.max())


def test_table__levels_add_up_and_classes_lie_in_one_another() -> None:
    """Ten people: level 0 has 4 or more, level 1 3 or more, and everybody one of three."""
    whole = Overlap.of_members(np.ones((10, 1), dtype=bool))
    low, high, people = np.array([[4], [3], [0]]), np.full((3, 1), 10), np.array([10])
    table = Table(whole, low, high, people, groups=((0, 1, 2),))
    unit = np.eye(3, dtype=np.int64)[:, :, np.newaxis]
    assert [table.bounds(w) for w in unit] == [(4, 7), (3, 6), (0, 3)]
    nested = Table(whole, low, high, people, contains=((1, 0), (1, 2)))
    assert [nested.bounds(w) for w in unit] == [(4, 10), (4, 10), (0, 10)]
    assert nested.bounds(unit[1] - unit[0]) == (0, 6)


# --- overlap ---


def test_overlap__nested_equal_apart_and_across() -> None:
    sets = (*SPLIT, frozenset({0}), frozenset({3}))
    found = Overlap.of_members(members(sets, (3, 4, 5, 2)))
    assert found.laminar
    assert found.children == ((1, 2), (3,), (), (), ())  # of two equal ones the later is inside
    assert found.coupled[0].tolist() == [False, True, True, True, False]
    assert not Overlap.of_members(members(ACROSS, (1, 1, 1))).laminar
    assert np.diag(found.pairs).tolist() == [12, 3, 4, 3, 2]
    assert found.pairs[0, 1] == 9


def test_overlap__pairs_add_up_over_sites() -> None:
    one, other = members(ACROSS, (3, 0, 5)), members(ACROSS, (1, 2, 0))
    both = Overlap.of_members(np.concatenate([one, other]))
    parts = [Overlap.of_members(m).pairs for m in (one, other)]
    np.testing.assert_array_equal(parts[0] + parts[1], both.pairs)
    without = Overlap.of_members(one).without(np.array([True, False])).pairs
    np.testing.assert_array_equal(without, [[0, 0], [5, 5]])


# --- the rule, with the whole gate of a site ---


def judged(
    analysis: Analysis,
    panel: Panel,
    arrays: dict[str, np.ndarray],
    who: np.ndarray,
    k: int,
    *,
    pairs_only: bool = False,
    **options: bool,
) -> dict[str, np.ndarray]:
    cohorts = tuple(f"c{i}" for i in range(who.shape[1]))
    ds = labelled(analysis.coords(panel, cohorts))
    for spec in analysis.yields:
        values = arrays.get(spec.name, np.zeros(spec.shape(analysis.coords(panel, cohorts))))
        ds[spec.name] = (spec.dims, np.asarray(values, spec.dtype))
    overlap = Overlap.of_members(who)
    case = Case(
        analysis, panel, ds, who.sum(axis=0), thresholds(k, **options),
        overlap=Overlap(overlap.pairs) if pairs_only else overlap,
    )  # fmt: skip
    masks, _ = rules.judge(case, analysis.records)
    return {name: mask.values for name, mask in masks.items()}


def genes(
    tables: np.ndarray, sets: Sets, sizes: tuple[int, ...], k: int, **options: bool
) -> np.ndarray:
    """Codes (R, C) where each table of counts of parts (R, A) is a gene."""
    counts = sums(sets, tables)
    people = np.broadcast_to(sums(sets, np.array(sizes)), counts.shape)
    found = judged(
        MutationFrequency(),
        Panel(genes=tuple(map(str, range(len(tables))))),
        {"gene_n_assayed": people, "gene_n_mutated": counts[:, np.newaxis]},
        members(sets, sizes),
        k,
        **options,
    )
    return found["mutated"][:, 0]


def test_bounds__a_cohort_less_one_inside_it() -> None:
    """Of everybody 33 and of the men 30 carry one: three women do."""
    tables = np.array([[30, 3], [30, 20], [30, 0], [40, 9], [3, 30], [3, 3]])
    codes = genes(tables, NESTED, (60, 60), 10)
    assert codes[0].tolist() == [Hidden.WHOLE] * 2
    assert codes[1].tolist() == [0, 0]
    assert codes[2].tolist() == [0, 0]  # no woman does, and zeros are shown
    assert codes[3].tolist() == [Hidden.WHOLE] * 2
    assert codes[4].tolist() == [0, Hidden.LOW]  # 24 to 33 women
    assert codes[5].tolist() == [Hidden.LOW] * 2
    assert genes(tables[2:3], NESTED, (60, 60), 10, zeros=True).tolist() == [[Hidden.WHOLE] * 2]


def test_bounds__two_of_three_parts_are_shown() -> None:
    """Everybody less two cohorts that are apart: the third, asked about or not."""
    tables = np.array([[30, 30, 5], [30, 30, 20], [30, 5, 5], [30, 4, 4]])
    codes = genes(tables, SPLIT, (60, 60, 60), 10)
    assert codes[0].tolist() == [Hidden.WHOLE] * 3
    assert codes[1].tolist() == [0, 0, 0]
    assert codes[2].tolist() == [0, 0, Hidden.LOW]  # 10 in the second and third: 1 to 9 each
    assert codes[3].tolist() == [Hidden.WHOLE] * 3  # 8 in both: 1 to 8


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(
    ("sets", "sizes", "k"),
    [
        (NESTED, (9, 8), 3),
        (NESTED, (12, 11), 4),
        (NESTED, (9, 2), 3),
        (CHAIN, (6, 5, 6), 3),
        (SPLIT, (6, 5, 6), 3),
        (SPLIT, (6, 6, 0), 3),
        (ACROSS, (5, 4, 5), 3),
    ],
)
def test_gate__nothing_can_be_told_from_a_release(
    sets: Sets, sizes: tuple[int, ...], k: int, *, zeros: bool
) -> None:
    """Who knows policy, rules and the people of every part, for every table there is.

    Tables with the same release are what such a reader cannot tell apart. For every cohort asked
    about, hidden or shown, and every union of parts that is a cohort less others: either all that
    is left is a count that may be told, or there are k - 1 values or more.
    """
    tables = every(sizes)
    codes = genes(tables, sets, sizes, k, zeros=zeros)
    counts = sums(sets, tables)
    groups = defaultdict(list)
    for table, code, count in zip(tables, codes, counts, strict=True):
        shown = np.where(code == 0, count, -1)
        groups[tuple(code.tolist()), tuple(shown.tolist())].append(table)
    assert len(groups) > 3
    n_parts = len(sizes)
    objects = {held for held in sets}
    objects |= {a - b for a in sets for b in sets} | {a & b for a in sets for b in sets}
    objects |= {frozenset({p}) for p in range(n_parts)}
    for (code, _), alike in groups.items():
        rows = np.array(alike)
        for held in objects - {frozenset()}:
            n = sum(sizes[p] for p in held)
            values = set(rows[:, sorted(held)].sum(axis=1).tolist())
            if len(values) >= min(k - 1, n + 1) or not n:
                continue
            small = {v for v in values if _small(v, n, k, zeros=zeros)}
            hidden = held in sets and code[sets.index(held)] > 0
            assert not small, f"{sorted(held)} of {n} is one of {values}: {code}"
            assert not hidden, f"{sorted(held)} of {n} is hidden, but one of {values}: {code}"


def _small(value: int, people: int, k: int, *, zeros: bool) -> bool:
    return any(part < k and (part > 0 or zeros) for part in (value, people - value))


@pytest.mark.parametrize("zeros", [False, True])
def test_gate__classes_without_the_one_they_lie_in(*, zeros: bool) -> None:
    """Shown as they are: nothing is known of what holds them."""
    for first, rest in (("non_silent", Hidden.WHOLE), ("Silent", 0)):
        found = judged(
            MutationFrequency(classes=(first, "Missense_Mutation")),
            ONE,
            {"gene_n_assayed": np.array([[100]]), "gene_n_mutated": np.array([[[43], [40]]])},
            np.ones((100, 1), dtype=bool),
            10,
            zeros=zeros,
        )
        assert found["mutated"].ravel().tolist() == [rest] * 2


def test_gate__classes_that_leave_enough_are_shown() -> None:
    """Of 60 with any mutation ten are without the first, or nobody; one less is too few."""

    def codes(first: int, second: int) -> list[int]:
        found = judged(
            MutationFrequency(classes=("non_silent", "Missense_Mutation", "Nonsense_Mutation")),
            ONE,
            {
                "gene_n_assayed": np.array([[100]]),
                "gene_n_mutated": np.array([[[60], [first], [second]]]),
            },
            np.ones((100, 1), dtype=bool),
            10,
        )
        return found["mutated"].ravel().tolist()

    assert codes(50, 30) == [0, 0, 0]
    assert codes(60, 30) == [0, 0, 0]
    assert codes(51, 30) == [Hidden.WHOLE] * 3
    assert codes(59, 30) == [Hidden.WHOLE] * 3
    assert codes(50, 5) == [0, 0, Hidden.LOW]


@pytest.mark.parametrize(
    ("first", "shown"),
    [
        ((25, 25), True),
        ((38, 39), False),  # of everybody three
        ((38, 20), False),  # of the men two
        ((25, 38), False),  # of the women, whom nobody asked about, two
        ((20, 40), True),  # of the women nobody
    ],
)
def test_gate__classes_within_a_class_of_cohorts_that_share_people(
    first: tuple[int, int], *, shown: bool
) -> None:
    """Of 60 men and 60 women 40 each have any mutation, and these one of the first class."""
    sizes = np.array([60, 60])
    counts = [sums(NESTED, np.array(parts)) for parts in ((40, 40), first)]
    found = judged(
        MutationFrequency(classes=("non_silent", "Missense_Mutation")),
        ONE,
        {"gene_n_assayed": sums(NESTED, sizes)[np.newaxis], "gene_n_mutated": np.array([counts])},
        members(NESTED, (60, 60)),
        10,
    )
    assert (found["mutated"] == (0 if shown else Hidden.WHOLE)).all()


def test_gate__nothing_can_be_told_of_classes_and_nested_cohorts() -> None:
    """Every table of three and eight people, of which the larger cohort alone holds the eight.

    Of every part, asked about or not: either class, and who is in the larger class only.
    """
    sizes, k = (3, 8), 3
    people = sums(NESTED, np.array(sizes))
    tables = [
        np.array([whole, part])
        for whole in product(*(range(n + 1) for n in sizes))
        for part in product(*(range(n + 1) for n in whole))
    ]
    groups = defaultdict(list)
    for start in range(0, len(tables), 6):  # a few genes at a time: programs are limited
        some = np.array(tables[start : start + 6])
        counts = sums(NESTED, some)
        codes = judged(
            MutationFrequency(classes=("non_silent", "Missense_Mutation")),
            Panel(genes=tuple(map(str, range(len(some))))),
            {
                "gene_n_assayed": np.broadcast_to(people, (len(some), 2)),
                "gene_n_mutated": counts,
            },
            members(NESTED, sizes),
            k,
        )["mutated"]
        for table, code, count in zip(some, codes, counts, strict=True):
            shown = np.where(code == 0, count, -1)
            groups[tuple(code.ravel()), tuple(shown.ravel())].append(table)
    assert sum(not any(code) for code, _ in groups) > 10
    for alike in groups.values():
        for held in ([0], [1], [0, 1]):
            n = sum(sizes[p] for p in held)
            whole, part = np.array(alike)[:, :, held].sum(axis=2).T
            for values in (set(whole), set(part)):
                wide = len(values) >= min(k - 1, n + 1)
                assert wide or not any(_small(v, n, k, zeros=False) for v in values)
            left = set(whole - part)
            assert len(left) >= min(k - 1, n + 1) or not any(0 < v < k for v in left)


@pytest.mark.parametrize("zeros", [False, True])
def test_gate__classes_within_a_class(*, zeros: bool) -> None:
    """Any non-silent mutation, and two classes of them: every table of 12 people."""
    n, k = 12, 3
    # people with neither, the first only, the second only, both, or another class only
    tables = np.array([t for t in every((n,) * 4) if t.sum() <= n])
    first, second = tables[:, 0] + tables[:, 2], tables[:, 1] + tables[:, 2]
    anything = tables.sum(axis=1)
    triples = np.unique(np.stack([anything, first, second], axis=1), axis=0)
    analysis = MutationFrequency(classes=("non_silent", "Missense_Mutation", "Nonsense_Mutation"))
    found = judged(
        analysis,
        Panel(genes=tuple(map(str, range(len(triples))))),
        {
            "gene_n_assayed": np.full((len(triples), 1), n),
            "gene_n_mutated": triples[:, :, np.newaxis],
        },
        np.ones((n, 1), dtype=bool),
        k,
        zeros=zeros,
    )
    codes = found["mutated"][:, :, 0]
    groups = defaultdict(list)
    for triple, code in zip(triples, codes, strict=True):
        shown = np.where(code == 0, triple, -1)
        groups[tuple(code.tolist()), tuple(shown.tolist())].append(triple)
    for (code, _), alike in groups.items():
        rows = np.array(alike)
        for place in np.flatnonzero(code):
            assert len(set(rows[:, place].tolist())) >= k - 1
        for part in (1, 2):
            left = set((rows[:, 0] - rows[:, part]).tolist())
            if len(left) < k - 1:
                assert not {v for v in left if 0 < v < k}, (code, left)


# --- a classification over cohorts that share people ---


def test_gate__levels_of_nested_cohorts() -> None:
    """Small tables of two levels, missing and other, of men and women, by brute force."""
    k, sizes = 3, (7, 6)
    analysis = CohortSummary(fields=(SummaryField(field="f", levels=("a",)),))
    men = [t for t in every((7, 7, 7)) if t.sum() == sizes[0]]
    women = [t for t in every((6, 6, 6)) if t.sum() == sizes[1]]
    rng = np.random.default_rng(0)
    groups = defaultdict(list)
    for i in rng.permutation(len(men) * len(women))[:150]:
        own, other = men[i // len(women)], women[i % len(women)]
        counts = np.stack([own + other, own])
        found = judged(
            analysis,
            Panel(),
            {"cohort_n_individuals": counts.sum(axis=1), "level_n_individuals": counts},
            members(NESTED, sizes),
            k,
        )["summary"]
        shown = np.where(found == 0, counts, -1)
        groups[found.tobytes(), shown.tobytes()].append((own, other, found, shown))
    worked_out = 0
    for (*_, found, shown), *_ in groups.values():
        fits = [
            np.stack([a + b, a, b])
            for a in men
            for b in women
            if ((shown[0] < 0) | (a + b == shown[0])).all()
            and ((shown[1] < 0) | (a == shown[1])).all()
        ]
        values = np.array(fits)
        for level in range(3):
            for which in range(3):
                left = set(values[:, which, level].tolist())
                hidden = which == 2 or found[which, level] > 0
                n = (*sums(NESTED, np.array(sizes)), sizes[1])[which]
                if hidden and len(left) < k - 1:
                    worked_out += 1
                    small = {v for v in left if 0 < v < k or 0 < n - v < k}
                    assert not small, (found, shown, level, which, left)
    assert worked_out  # women of a level shown for both: a large one, or nobody


@pytest.mark.parametrize("pairs_only", [False, True])
def test_bounds__levels_add_up_in_every_cohort(*, pairs_only: bool) -> None:
    """Seventeen are in the first two levels, fourteen of them men: three women in both."""

    def codes(everybody: list[int], men: list[int]) -> list[list[int]]:
        analysis = CohortSummary(fields=(SummaryField(field="f", levels=("a", "b", "c")),))
        n = (sum(men), sum(everybody) - sum(men))
        arrays = {
            "cohort_n_individuals": np.array([sum(everybody), sum(men)]),
            "level_n_individuals": np.array([[*everybody, 0, 0], [*men, 0, 0]]),
        }
        who = members(NESTED, n)
        found = judged(analysis, Panel(), arrays, who, 10, pairs_only=pairs_only)
        return found["summary"][:, :3].tolist()

    own = [Hidden.COMPLEMENT] * 2
    assert codes([14, 3, 80], [12, 2, 40]) == [[Hidden.WHOLE] * 3] * 2
    assert codes([34, 3, 80], [12, 2, 40]) == [[*own, 0]] * 2


# --- genotypes: more is known of them than is worked out ---


def genotype_codes(*parts: tuple[int, int, int], sets: Sets) -> list[int]:
    """Codes of one variant's genotypes in each cohort, from those of each part."""
    counts = sums(sets, np.array(parts).T)  # (genotypes, cohorts)
    n = counts.sum(axis=0)
    alleles = counts[1] + 2 * counts[2]
    arrays = {
        "variant_n_expected": n,
        "variant_n_called": n,
        "variant_allele_number": 2 * n,
        "variant_allele_count": alleles,
        "variant_genotype_count": counts,
        "variant_n_group": np.array([0 * n, n, 0 * n, 0 * n]),
        "variant_n_carriers": counts[1] + counts[2],
        "variant_n_non_carriers": counts[0],
    }
    found = judged(
        AlleleFrequency(),
        Panel(variants=("1:5:A:G",)),
        {name: values[np.newaxis] for name, values in arrays.items()},
        members(sets, tuple(sum(part) for part in parts)),
        10,
    )
    return found["genotypes"][0].tolist()


def test_bounds__genotypes_of_cohorts_that_share_people_fall_together() -> None:
    common, rare, few = (100, 60, 40), (100, 60, 3), (3, 2, 1)
    assert genotype_codes(common, common, sets=NESTED) == [0, 0]
    assert genotype_codes(rare, common, sets=NESTED) == [Hidden.WHOLE] * 2
    # a cohort that is apart, or left out for its size, does not hide the others
    apart: Sets = (*NESTED, frozenset({2}))
    assert genotype_codes(common, common, rare, sets=apart) == [0, 0, Hidden.WHOLE]
    assert genotype_codes(rare, common, common, sets=apart) == [Hidden.WHOLE] * 3
    assert genotype_codes(common, common, few, sets=apart) == [0, 0, Hidden.SUPPORT]
    assert genotype_codes(few, common, sets=NESTED) == [0, Hidden.SUPPORT]
    assert genotype_codes((0, 0, 0), common, sets=NESTED) == [0, Hidden.SUPPORT]


# --- pairs of cohorts, as a pool knows them ---


@pytest.mark.parametrize("sets", [NESTED, ACROSS])
def test_bounds__of_two_cohorts_pairs_tell_as_much_as_parts(sets: Sets) -> None:
    sizes = (12, 11) if sets == NESTED else (5, 4, 5)
    tables = every(sizes)
    both = [genes(tables, sets, sizes, 3, pairs_only=only) for only in (False, True)]
    np.testing.assert_array_equal(*both)
    assert (both[0] == Hidden.WHOLE).any()
    assert (both[0] == 0).any()


def test_bounds__of_three_cohorts_every_pair_is_looked_at() -> None:
    """The last two share three people: of the second 8 to 11 carriers are not in the third."""
    sets: Sets = (frozenset({0}), frozenset({1, 2}), frozenset({2, 3}))
    tables = np.array([[30, 9, 2, 30], [30, 30, 2, 30]])
    codes = genes(tables, sets, (60, 60, 3, 60), 10, pairs_only=True)
    assert codes.tolist() == [[Hidden.WHOLE] * 3, [0, 0, 0]]


# --- curves ---


def test_bounds__events_of_a_cohort_less_one_inside_it() -> None:
    """Everybody's 15 events at a point and the men's 12: three women's. Zeros are shown."""
    panel = Panel(times=(0.0, 1.0, 2.0))

    def codes(everybody: list[int], men: list[int]) -> list[int]:
        n = np.array([100, 60])
        arrays = {
            "cohort_n_individuals": n,
            "cohort_n_event": np.array([everybody, men]),
            "cohort_n_censored": np.zeros((2, 3)),
        }
        found = judged(Survival(), panel, arrays, members(NESTED, (60, 40)), 10)
        return found["curve"].tolist()

    assert codes([0, 15, 10], [0, 12, 10]) == [Hidden.WHOLE] * 2
    assert codes([0, 25, 10], [0, 12, 10]) == [0, 0]


# --- limits ---


def test_bounds__too_many_coupled_cells_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "MOST_CELLS", 3)
    tables = np.array([[10, 2, 10], [10, 3, 10]])
    with pytest.raises(Refused) as caught:
        genes(tables, ACROSS, (20, 5, 20), 10)
    assert caught.value.rule == "bounds"
    assert caught.value.remedy == "ask for fewer genes or cohorts at once"


def test_budget__as_much_as_may_be() -> None:
    budget = rule._Budget()
    budget.spend(cells=5_000, programs=4_000)
    for more in ({"cells": 1}, {"programs": 1}):
        with pytest.raises(Refused, match="bounds"):
            rule._Budget(5_000, 4_000).spend(**more)


def test_bounds__cohorts_apart_are_left_alone() -> None:
    apart: Sets = (frozenset({0}), frozenset({1}))
    tables = np.array([[30, 3], [12, 30]])
    assert genes(tables, apart, (60, 60), 10).tolist() == [[0, Hidden.LOW], [0, 0]]
