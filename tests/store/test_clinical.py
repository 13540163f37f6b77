"""Reading clinical tables by a mapping, and mappings themselves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.store.clinical import Clinical
from eucan_dask.store.clinical_table import read_clinical
from eucan_dask.store.mapping import read_mapping, shipped
from tests.store.store_tables import CLINICAL, changed, table, without

MAPPING = """
format = 1
name = "ours"
individual_id = "id"
separator = ";"
comment = "#"
missing = ["?"]

[[fields]]
name = "weight"
column = "kilograms"
kind = "number"
unit = "grams"
scale = 1000
minimum = 0

[[fields]]
name = "smoker"
column = "smokes"
kind = "boolean"
codes = { yes = true, no = false }

[[fields]]
name = "ward"
column = "id"
kind = "category"
open = true
pattern = "^([A-Z])"

[[endpoints]]
name = "relapse"
time = "months"
unit = "months"
event = "status"
events = { "1:Relapse" = true, "0:No" = false }
"""
ROWS = [
    {"id": "B1", "kilograms": "70.5", "smokes": "yes", "months": "12", "status": "0:No"},
    {"id": "A2", "kilograms": "?", "smokes": "?", "months": "2", "status": "?"},
    {"id": "A1", "kilograms": "8e1", "smokes": "no", "months": "0", "status": "1:Relapse"},
]


def mapping_file(path: Path, text: str = MAPPING) -> Path:
    path.write_text(text)
    return path


def read(path: Path, mapping: Any = "plain") -> Clinical:
    return read_clinical(path, read_mapping(mapping))[0]


def test_read_clinical__values(clinical: Path) -> None:
    found, notes = read_clinical(clinical, read_mapping("plain"))
    assert found.individual_id == ("A", "B", "C", "D")
    assert found.sample_id == ("A-1", "B-1", "B-2", "C-1", "D-1")
    assert found.sample_individual == (0, 1, 1, 2, 3)
    age = found.columns["individual_age_at_diagnosis"]
    np.testing.assert_array_equal(age.values, [60, 45.5, np.nan, 81])
    assert age.attrs == {"kind": "number", "unit": "years", "minimum": 0, "maximum": 120}
    stage = found.columns["individual_stage"]
    assert stage.values.tolist() == [1, 2, -1, 4]
    assert stage.attrs["categories"] == ["0", "I", "II", "III", "IV"]
    assert not stage.attrs["open"]
    site = found.columns["individual_tissue_source_site"]
    assert site.values.tolist() == [0, 1, 0, -1]
    assert site.attrs == {"kind": "category", "categories": ["S1", "S2"], "open": True}
    event = found.columns["individual_overall_survival_event"]
    assert event.values.tolist() == [1, 0, -1, 0]
    assert event.values.dtype == np.int8
    days = found.columns["individual_overall_survival_days"].values
    np.testing.assert_array_equal(days, [100, 2000, np.nan, 0])
    assert notes == ["overall_survival: 1 rows have only one of time and status; missing"]


def test_read_clinical__own_mapping(tmp_path: Path) -> None:
    mapping = mapping_file(tmp_path / "ours.toml")
    path = table(tmp_path / "ours.csv", ROWS, separator=";", top="# a\n#b;c\n")
    found = read(path, mapping)
    assert found.individual_id == ("A1", "A2", "B1")
    assert found.sample_id == found.individual_id
    assert not found.own_samples
    weight = found.columns["individual_weight"].values
    np.testing.assert_array_equal(weight, [80000, np.nan, 70500])
    assert found.columns["individual_smoker"].values.tolist() == [0, -1, 1]
    assert found.columns["individual_ward"].attrs["categories"] == ["A", "B"]
    days = found.columns["individual_relapse_days"].values
    np.testing.assert_allclose(days, [0, np.nan, 365.25])


def test_read_clinical__quoted_csv(tmp_path: Path) -> None:
    text = MAPPING.replace('";"', '","').replace(
        "codes = { yes", 'codes = { "yes, much" = true, yes'
    )
    path = tmp_path / "q.csv"
    path.write_text('id,kilograms,smokes,months,status\n"A1",60,"yes, much",1,0:No\n')
    found = read(path, mapping_file(tmp_path / "ours.toml", text))
    assert found.columns["individual_smoker"].values.tolist() == [1]


@pytest.mark.parametrize(
    ("row", "values", "message"),
    [
        (
            0,
            {"age_at_diagnosis": "400"},
            r"line 2: age_at_diagnosis: out of range.*0 to 120 years.*'400'",
        ),
        (0, {"age_at_diagnosis": "old"}, "line 2: age_at_diagnosis: not a number; found 'old'"),
        (0, {"age_at_diagnosis": "nan"}, "line 2: age_at_diagnosis: not a number"),
        (0, {"age_at_diagnosis": "-inf"}, "not a number"),
        (0, {"age_at_diagnosis": "6_0"}, "not a number"),
        (0, {"sex": "femal"}, "line 2: sex: unknown value 'femal'.*did you mean 'female'.*codes"),
        (
            0,
            {"overall_survival_days": "-1"},
            "line 2: overall_survival_days: negative survival time",
        ),
        (0, {"overall_survival_event": "2"}, "overall_survival_event: unknown status '2'"),
        (0, {"tissue_source_site": "2012-02-15"}, "tissue_source_site: a date"),
        (0, {"tissue_source_site": "1.2.2012"}, "tissue_source_site: a date"),
        (0, {"individual_id": ""}, "line 2: individual_id is empty"),
        (0, {"sample_id": "NA"}, "line 2: sample_id is empty"),
        (2, {"sample_id": "A-1"}, "line 4: sample_id A-1 stands twice; found also in line 2"),
        (2, {"sex": "female"}, "line 4: sex disagrees between rows of one person.*line 3"),
        (2, {"age_at_diagnosis": ""}, "line 4: age_at_diagnosis disagrees"),
    ],
)
def test_read_clinical__bad_value(
    tmp_path: Path, row: int, values: dict[str, str], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        read(table(tmp_path / "bad.tsv", changed(CLINICAL, row, **values)))


def test_read_clinical__person_twice_without_samples(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="line 4: individual_id B stands twice; found also in line 3"):
        read(table(tmp_path / "t.tsv", without(CLINICAL, "sample_id")))


def test_read_clinical__sample_field(tmp_path: Path) -> None:
    text = (
        'format = 1\nname = "s"\nindividual_id = "individual_id"\nsample_id = "sample_id"\n'
        '[[fields]]\nname = "site"\ncolumn = "tissue_source_site"\nkind = "category"\nopen = true\n'
        'level = "sample"\n'
    )
    rows = changed(CLINICAL, 1, tissue_source_site="S9")
    found = read(table(tmp_path / "s.tsv", rows), mapping_file(tmp_path / "s.toml", text))
    site = found.columns["sample_site"]
    assert site.dims == ("samples",)
    words = [*site.attrs["categories"], None]
    assert [words[code] for code in site.values] == ["S1", "S2", "S9", "S1", "NA"]


def test_read_clinical__columns(tmp_path: Path) -> None:
    mapping = mapping_file(tmp_path / "ours.toml")
    path = tmp_path / "t.csv"
    with pytest.raises(Invalid, match=r"line 1: unknown column 'kilograms'.*takes weight from it"):
        read(table(path, without(ROWS, "kilograms"), separator=";"), mapping)
    with pytest.raises(Invalid, match="unknown column 'status'"):
        read(table(path, without(ROWS, "status"), separator=";"), mapping)
    with pytest.raises(Invalid, match="overall_survival needs both its columns"):
        read(table(path, without(CLINICAL, "overall_survival_event")))
    path.write_text("id;id;kilograms;smokes;months;status\n")
    with pytest.raises(Invalid, match="column 'id' stands twice"):
        read(path, mapping)
    found = read(table(path, without(CLINICAL, "sex", "stage")))
    assert "individual_sex" not in found.columns


def test_read_clinical__rows(clinical: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.tsv"
    path.write_bytes(clinical.read_bytes()[:-12])
    with pytest.raises(Invalid, match=r"cut\.tsv, line 6: the row has too few fields"):
        read(path)
    path.write_text(clinical.read_text() + "one\ttoo" + "\tmany" * 9 + "\n")
    with pytest.raises(Invalid, match="line 7: the row has too many fields"):
        read(path)
    path.write_text(clinical.read_text().split("\n")[0] + "\n")
    with pytest.raises(Invalid, match="has no rows"):
        read(path)
    path.write_bytes(bytes(range(256)))
    with pytest.raises(Invalid, match="is not a text file"):
        read(path)
    with pytest.raises(Invalid, match="cannot be read"):
        read(tmp_path)


def test_read_clinical__broken_quotes_and_patterns(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    comma = mapping_file(tmp_path / "comma.toml", MAPPING.replace('";"', '","'))
    path.write_text('id,kilograms,smokes,months,status\n"A1"x,60,no,1,0:No\n')
    with pytest.raises(Invalid, match=r"q\.csv, line 2: the row cannot be read"):
        read(path, comma)
    path.write_text("id,kilograms,smokes,months,status\n1A,60,no,1,0:No\n")
    with pytest.raises(
        Invalid, match="line 2: ward: does not match the mapping's pattern; found '1A'"
    ):
        read(path, comma)


def test_read_clinical__other_encoding(clinical: Path, tmp_path: Path) -> None:
    """Free text in a column nobody maps may be what it likes; a mapped one must be UTF-8."""
    lines = clinical.read_bytes().splitlines()
    path = tmp_path / "latin.tsv"
    path.write_bytes(
        b"\n".join([lines[0] + b"\tremark", *(line + b"\tT\xfcte" for line in lines[1:])])
    )
    assert len(read(path).individual_id) == 4
    path.write_bytes(clinical.read_bytes().replace(b"S1", b"S\xfc"))
    with pytest.raises(Invalid, match="line 2: tissue_source_site holds bytes that are no UTF-8"):
        read(path)


def test_read_mapping__shipped() -> None:
    assert shipped() == ("cbioportal", "maftools_laml", "plain", "tcga_cdr")
    for name in shipped():
        assert read_mapping(name).name == name
    with pytest.raises(
        Invalid, match=r"unknown mapping 'tcga_cdx'; did you mean 'tcga_cdr'\?.*path"
    ):
        read_mapping("tcga_cdx")
    with pytest.raises(Invalid, match="cannot be read"):
        read_mapping("nowhere.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "unknown value of format '2'"),
        ('comment = "#"', 'coment = "#"', "unknown key 'coment'; did you mean 'comment'"),
        ('name = "smoker"', 'name = "Smoker"', "'Smoker' cannot be a field's name"),
        ('name = "smoker"', 'name = "id"', "'id' cannot be a field's name"),
        ('name = "smoker"', 'name = "weight"', "'weight' stands twice"),
        ('name = "smoker"', 'name = "relapse_days"', "'relapse_days' stands twice"),
        ("codes = { yes = true, no = false }", "", "has no codes"),
        ("codes = { yes = true, no = false }", "open = true", "a boolean is not open"),
        ("no = false", 'no = "no"', "codes have the wrong type; expected bool"),
        ("scale = 1000", "open = true", "a number has neither codes nor open"),
        ("open = true", "open = true\nminimum = 1", "only a number has a minimum"),
        ("^([A-Z])", "^[A-Z]", "pattern needs one group; found 0"),
        ("^([A-Z])", "^([A-Z]", "pattern is no regular expression"),
        ('"0:No" = false', '"0:No" = 0', "events says which statuses"),
        ("scale = 1000", 'level = "sample"', "a field of level sample needs sample_id"),
        (
            'comment = "#"',
            'sample_id = "s"\nsample_pattern = "(.)"',
            "both sample_id and sample_pattern",
        ),
        ('kind = "boolean"', 'kind = "bool"', "unknown value of kind"),
        ("maximum", "maximum", ""),
    ],
)
def test_read_mapping__refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = mapping_file(tmp_path / "m.toml", MAPPING.replace(old, new, 1))
    if not message:
        assert read_mapping(path).fields[0].maximum is None
        return
    with pytest.raises(Invalid, match=message):
        read_mapping(path)


def test_read_mapping__months() -> None:
    endpoint = read_mapping("cbioportal").endpoints[0]
    assert endpoint.events == {
        "0:LIVING": False,
        "LIVING": False,
        "1:DECEASED": True,
        "DECEASED": True,
    }
    assert math.isclose(365.25 / 12, 30.4375)
