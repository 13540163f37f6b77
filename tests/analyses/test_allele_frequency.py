"""Allele frequency against scikit-allel, PLINK 2, a count of persons and a hand-worked table."""

from __future__ import annotations

import subprocess
from pathlib import Path

import allel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid
from eucan_dask.panel import Panel
from eucan_dask.partial import Hidden
from eucan_dask.testing.calls import VARIANT_FREQUENCY, write_vcf
from eucan_dask.testing.cases import nobody, run_over, thresholds
from eucan_dask.testing.data import People, dataset, people, split
from tests.genotyped import asked, genotyped

LABELS = tuple(VARIANT_FREQUENCY)
AUTOSOMAL = tuple(label for label in LABELS if label[0].isdigit())
YOUNG = Cohort.of("young", {"field": "age_at_diagnosis", "max": 60})
MEN = Cohort.of("men", {"field": "sex", "equals": "male"})
EVERYBODY = Cohort("everybody")
COLUMNS = ("allele_count", "allele_number", "n_missing")


@pytest.fixture(scope="module")
def simulated() -> People:
    return people(150, seed=4, missing=0.08, second_biosample=0.3)


def persons(some: People) -> pd.DataFrame:
    """A row a person: clinical fields and the calls of the first biosample."""
    rows = some.clinical.sort_values(["individual_id", "sample_id"])
    first = rows.drop_duplicates("individual_id").set_index("sample_id")
    return first.join(some.calls)


def cut(some: People, n_sites: int = 3) -> list[People]:
    n = some.clinical["individual_id"].nunique()
    return split(some, np.arange(n) % n_sites)


def by_person(rows: pd.DataFrame, label: str) -> tuple[int, int, int]:
    """Copies of ALT, alleles, and people without a call, one by one."""
    contig, position, _ = label.split(":", 2)
    count = number = missing = 0
    for sex, code in zip(rows["sex"], rows[label], strict=True):
        copies = 2
        if contig == "MT" or (contig in "XY" and sex == "male"):
            copies = 1
        elif contig == "Y":
            copies = 0
        if (contig, position) == ("X", "1000"):  # before the first base of the PAR in GRCh38
            copies = 1 if sex == "male" else 2
        if not copies:
            continue
        if code < 0 or (copies == 1 and code == 1):
            missing += 1
        else:
            number += copies
            count += int(code) // (3 - copies)
    return count, number, missing


def test_finalize__as_scikit_allel(simulated: People) -> None:
    case = asked(AlleleFrequency(), AUTOSOMAL)
    _, found, _ = run_over(case, [dataset(part) for part in cut(simulated)])
    codes = persons(simulated)[list(AUTOSOMAL)].to_numpy().T
    pairs = np.stack([np.where(codes < 0, -1, codes > 0), np.where(codes < 0, -1, codes > 1)], 2)
    counts = allel.GenotypeArray(pairs).count_alleles(max_allele=1)
    np.testing.assert_array_equal(found["allele_count"][:, 0], counts[:, 1])
    np.testing.assert_array_equal(found["allele_number"][:, 0], counts.sum(axis=1))
    np.testing.assert_allclose(found["frequency"][:, 0], counts.to_frequencies()[:, 1], rtol=1e-15)
    missing = allel.GenotypeArray(pairs).count_missing(axis=1)
    np.testing.assert_array_equal(found["n_missing"][:, 0], missing)


def test_finalize__as_counted_person_by_person(simulated: People) -> None:
    """Cohorts, sex chromosomes, MT, second biosamples, a site without a variant, an empty one."""
    parts = cut(simulated)
    parts[1] = People(
        parts[1].clinical,
        parts[1].mutations,
        parts[1].sample_assay,
        parts[1].calls[list(LABELS[1:])],
    )
    case = asked(AlleleFrequency(), LABELS[::-1], EVERYBODY, YOUNG, MEN)
    _, found, _ = run_over(case, [*map(dataset, parts), nobody(simulated)])
    rows = pd.concat([persons(part) for part in parts])
    rows[LABELS[0]] = rows[LABELS[0]].fillna(-1)  # not held is not called
    chosen = (
        rows,
        rows[rows["age_at_diagnosis"] <= 60],
        rows[rows["sex"] == "male"],
    )
    for v, label in enumerate(LABELS[::-1]):
        for c, members in enumerate(chosen):
            values = tuple(int(found[name][v, c]) for name in COLUMNS)
            assert values == by_person(members, label), (label, c)


def test_finalize__one_site_holds_what_three_hold(simulated: People) -> None:
    case = asked(AlleleFrequency(), LABELS, EVERYBODY, YOUNG)
    _, three, _ = run_over(case, [dataset(part) for part in cut(simulated)])
    _, one, _ = run_over(case, [dataset(simulated)])
    xr.testing.assert_identical(three, one)


def test_finalize__as_plink2(plink2: str, tmp_path: Path) -> None:
    """--freq counts and --hardy of the same people, sexes and calls.

    PLINK's PAR begins with the first base, where the reference genome has no bases; ours as the
    assembly says. So no variant lies there.
    """
    more = {"X:20000:G:T": 0.3, "X:70000000:T:C": 0.35, "Y:2781480:C:A": 0.4, "MT:150:C:T": 0.1}
    shares = {label: VARIANT_FREQUENCY[label] for label in AUTOSOMAL} | more
    simulated = people(150, seed=5, missing=0.08, variants=shares)
    rows, labels = persons(simulated), list(shares)
    write_vcf(rows[labels].astype(np.int8), tmp_path / "calls.vcf")
    sexes = pd.DataFrame({"#IID": rows.index, "SEX": rows["sex"].map({"male": 1, "female": 2})})
    sexes.to_csv(tmp_path / "sex.txt", sep="\t", index=False)
    arguments = ["--vcf", "calls.vcf", "--update-sex", "sex.txt", "--split-par", "hg38"]
    arguments += ["--set-all-var-ids", "@:#:$r:$a", "--freq", "counts", "--hardy"]
    done = subprocess.run(
        [plink2, *arguments, "--out", "p"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (written,) = tmp_path.glob("p.*count")
    counts = pd.read_csv(written, sep="\t").set_index("ID")
    case = asked(AlleleFrequency(), labels)
    _, found, _ = run_over(case, [dataset(part) for part in cut(simulated)])
    for v, label in enumerate(labels):
        row = counts.loc[label]
        assert int(found["allele_count"][v, 0]) == row["ALT_CTS"], label
        assert int(found["allele_number"][v, 0]) == row["OBS_CT"], label
    hardy = pd.read_csv(tmp_path / "p.hardy", sep="\t").set_index("ID")
    for label in hardy.index:
        p = float(found["hwe_p_value"][labels.index(label), 0])
        np.testing.assert_allclose(p, hardy.loc[label, "P"], rtol=6e-6)
    assert {"X:20000:G:T", *AUTOSOMAL} == set(hardy.index)


def test_finalize__by_hand() -> None:
    """A record with two ALTs, a man, a woman, somebody else, half calls on X, Y and MT.

    The record A -> G, T of eight people: AA AA AG GG AT TT GT and none.
    """
    g, t = "1:100:A:G", "1:100:A:T"
    calls = {
        g: [0, 0, 1, 2, -1, -1, -1, -1],
        t: [0, 0, -1, -1, 1, 2, -1, -1],
        "X:50000000:C:A": [2, 0, 1, 0, 1, 2, 1, 1],
        "Y:20000000:C:A": [2, 0, 1, 2, 2, 0, 2, -1],
        "MT:5:C:A": [2, 0, 1, 2, 2, 0, 2, -1],
    }
    several = {
        g: ([0, 0, 1, 2, 0, 0, 1, -1], [0, 0, 0, 0, 1, 2, 1, -1]),
        t: ([0, 0, 0, 0, 1, 2, 1, -1], [0, 0, 1, 2, 0, 0, 1, -1]),
    }
    sex = ["male"] * 3 + ["female"] * 3 + ["other", "?"]
    ds = genotyped(calls, sex=sex, split=several)
    total, found, _ = run_over(asked(AlleleFrequency(), list(calls)), [ds])
    columns = {name: found[name][:, 0].values.tolist() for name in COLUMNS}
    # X: men 1, 0, half; others 0, 1, 2 of two, 1, 1. Y: men 1, 0, half. MT: 1 0 - 1 1 0 1 none.
    assert columns == {
        "allele_count": [4, 4, 6, 1, 4],
        "allele_number": [14, 14, 12, 2, 6],
        "n_missing": [1, 1, 1, 1, 2],
    }
    genotypes = total["variant_genotype_count"][:, :, 0].values.tolist()
    assert genotypes == [[2, 1, 1], [2, 1, 1], [1, 3, 1], [0, 0, 0], [0, 0, 0]]
    assert np.isnan(found["hwe_p_value"][3:, 0]).all()
    assert found["hwe_p_value"][0, 0] == pytest.approx(3 / 7)  # AA AA AG GG: 4/7 for one, 3/7 ...


def test_finalize__in_the_par_men_count_twice() -> None:
    labels = ["X:10000:A:G", "X:10001:A:G", "X:2781479:A:G", "X:2781480:A:G"]
    ds = genotyped(dict.fromkeys(labels, [1, 2, 2]), sex=["male", "male", "female"])
    _, found, _ = run_over(asked(AlleleFrequency(), labels), [ds])
    assert found["allele_number"][:, 0].values.tolist() == [3, 6, 6, 3]
    assert found["allele_count"][:, 0].values.tolist() == [3, 5, 5, 3]
    assert found["n_missing"][:, 0].values.tolist() == [1, 0, 0, 1]


def test_finalize__nobody_is_undefined_not_zero(simulated: People) -> None:
    case = asked(AlleleFrequency(), LABELS)
    _, found, _ = run_over(case, [nobody(simulated)])
    assert not found["allele_number"].values.any()
    assert np.isnan(found["frequency"]).all()
    assert np.isnan(found["hwe_p_value"]).all()


def test_check__needs_variants() -> None:
    with pytest.raises(Invalid, match="variants_file"):
        AlleleFrequency().check(Panel())


# --- the gate ---


def of(hom_ref: int, het: int, hom_alt: int, missing: int = 0) -> list[int]:
    """Calls of so many people."""
    return [0] * hom_ref + [1] * het + [2] * hom_alt + [-1] * missing


CASES = [
    # hom_ref, het, hom_alt, missing; zeros hidden?; called, alleles, genotypes
    ((40, 30, 12, 2), False, (0, 0, 0)),
    ((40, 30, 2, 12), False, (0, 0, 5)),
    ((40, 30, 0, 14), False, (0, 0, 0)),
    ((40, 30, 0, 14), True, (0, 0, 5)),
    ((75, 9, 0, 0), False, (5, 5, 5)),
    ((74, 5, 5, 0), False, (0, 0, 5)),  # ten carriers, but of two kinds
    ((84, 0, 0, 0), False, (5, 5, 5)),
    ((9, 40, 35, 0), False, (5, 5, 5)),
    ((0, 44, 40, 0), True, (5, 5, 5)),
    ((5, 4, 0, 75), False, (5, 5, 5)),  # nine have a call
    ((0, 0, 0, 84), True, (5, 5, 5)),  # as if held, and carried by nobody
    ((9, 9, 0, 0), True, (3, 3, 3)),  # 18 people can never be 10 and 10
]


@pytest.mark.parametrize(("people_of", "zeros", "expected"), CASES, ids=str)
def test_gate__records_by_hand(
    people_of: tuple[int, int, int, int], expected: tuple[int, int, int], *, zeros: bool
) -> None:
    ds = genotyped({"1:5:A:G": of(*people_of)})
    case = asked(AlleleFrequency(), ["1:5:A:G"])
    _, _, (release,) = run_over(case, [ds], thresholds(10, zeros=zeros))
    masks = [int(release.arrays[f"{r.name}_hidden"][0, 0]) for r in case.analysis.records]
    assert masks == list(expected)
    shown = {s.name: release.arrays[s.name].any() for s in case.analysis.yields if s.name in
             release.arrays}  # fmt: skip
    assert not (shown["variant_allele_count"] and masks[1])
    assert not (shown["variant_genotype_count"] and masks[2])


def test_gate__each_limit_is_its_own() -> None:
    limits = thresholds(5)
    ds = genotyped({"1:5:A:G": of(30, 12, 6), "1:6:A:G": of(6, 12, 30)})
    case = asked(AlleleFrequency(), ["1:5:A:G", "1:6:A:G"])
    for name, expected in (("min_carriers", [5, 0]), ("min_non_carriers", [0, 5])):
        changed = type(limits)(**{**vars(limits), name: 19})
        _, _, (release,) = run_over(case, [ds], changed)
        assert release.arrays["alleles_hidden"][:, 0].tolist() == expected


def test_gate__totals_are_of_the_sites_that_show_them(simulated: People) -> None:
    """With the gate on, every total is the pooled one over the sites that released the cell."""
    case = asked(AlleleFrequency(), LABELS, EVERYBODY, YOUNG, MEN)
    parts = [dataset(part) for part in split(simulated, np.arange(150) * np.arange(150) % 4)]
    total, _, releases = run_over(case, parts, thresholds(8, zeros=True))
    clear = [run_over(case, [part])[0] for part in parts]
    hidden = 0
    for record in case.analysis.records:
        masks = np.stack([r.arrays[f"{record.name}_hidden"] for r in releases])
        hidden += int((masks > 0).sum())
        np.testing.assert_array_equal(total[f"{record.name}_n_sites"], (masks == 0).sum(axis=0))
        for name in record.variables:
            values = np.stack([c[name].values for c in clear])
            seen = (masks == 0) if values.ndim == 3 else (masks == 0)[:, :, np.newaxis, :]
            np.testing.assert_array_equal(total[name], np.where(seen, values, 0).sum(axis=0))
    assert hidden > 0


def test_gate__a_site_that_lacks_the_variant_hides_it(simulated: People) -> None:
    held, lacking = cut(simulated, 2)
    gone = People(
        lacking.clinical,
        lacking.mutations,
        lacking.sample_assay,
        lacking.calls.drop(columns=LABELS[0]),
    )
    case = asked(AlleleFrequency(), LABELS[:1])
    total, _, releases = run_over(case, [dataset(held), dataset(gone)], thresholds(5))
    assert int(total["alleles_n_sites"][0, 0]) == 1
    assert int(total["alleles_n_hidden"][0, 0]) == 1
    assert releases[1].arrays["called_hidden"][0, 0] == Hidden.WHOLE
    public, found, _ = run_over(case, [dataset(held), dataset(gone)], thresholds(0))
    assert int(public["alleles_n_hidden"][0, 0]) == 0
    assert (
        tuple(int(found[n][0, 0]) for n in COLUMNS[:1]) == by_person(persons(held), LABELS[0])[:1]
    )
