"""The opening of masked sums: what a site opens, for whom, once, and what it never does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from eucan_dask import message, wire
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.errors import EucanError, Invalid, Refused
from eucan_dask.fixed_point import Layout, encode
from eucan_dask.leaving import leaving
from eucan_dask.mask_keys import sign_mask_key
from eucan_dask.masks import Masks
from eucan_dask.opening import decode_opened, decode_opening, encode_opening, is_opening
from eucan_dask.panel import Panel
from eucan_dask.partial import Release
from eucan_dask.store.edit import withdraw
from eucan_dask.unmasking import unmasked
from tests.asking import KEY, admit
from tests.masked import Asked, make_masked, site_of
from tests.scans import copied
from tests.simulated import edit

SEX = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))
STRANGER = Ed25519PrivateKey.from_private_bytes(b"2" * 32)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_masked(tmp_path_factory.mktemp("sites"), (40, 30, 35, 45))


@pytest.fixture
def file(sites: Path, tmp_path: Path) -> Path:
    """The same sites with ledgers of their own."""
    return copied(sites, tmp_path / "own")


def total(asked: Asked) -> int:
    vectors = [asked.releases[name] for name in asked.request.roster.sites]
    found = unmasked(asked.request, vectors, list(asked.keys.values()))
    return int(found["cohort_n_individuals"].sum())


# --- what is opened ---


def test_open__the_sum_of_all_and_as_often_as_asked(file: Path) -> None:
    asked = Asked.of(file, SEX)
    asked.answer()
    asked.open()
    first = dict(asked.keys)
    asked.open()
    assert asked.keys == first
    assert total(asked) == 150
    again = Asked.of(file, SEX)
    again.answer()
    again.open()
    assert set(again.keys.values()).isdisjoint(first.values()), "another run, other masks"


def test_open__not_before_the_answer(file: Path) -> None:
    asked = Asked.of(file, SEX)
    with pytest.raises(Refused, match="opening; ask the question first"):
        asked.open("a")
    asked.answer("a")
    asked.open("a")


@pytest.mark.parametrize("change", ["run", "sites", "cohorts"])
def test_open__another_request_than_was_answered(file: Path, change: str) -> None:
    asked = Asked.of(file, SEX)
    asked.answer()
    changed = {
        "run": replace(asked.request, run="another"),
        "sites": asked.request.keep("abc"),
        "cohorts": replace(asked.request, complete=("stage",)),
    }[change]
    with pytest.raises(Refused, match="opening; ask the question first"):
        Asked(file, changed).open("a")


def test_open__one_roster_for_each_summand(file: Path) -> None:
    """Whatever else is asked, and whoever asks: with fewer sites it gives nobody the difference."""
    four = Asked.of(file, SEX)
    four.answer()
    three = Asked(file, replace(four.request.keep("bcd"), run="three"))
    three.answer()
    four.open("b")
    with pytest.raises(Refused, match="one_roster; ask a, b, c, d, as before"):
        three.open("b")
    genes = Asked.of(file, MutationFrequency(), sites="bcd", panel=Panel(genes=("TP53",)))
    genes.answer("b")
    genes.open("b")


def test_answer__of_the_same_request_over_other_people_is_refused(
    file: Path, tmp_path: Path
) -> None:
    """Two payloads under one mask, subtracted, would show what changed."""
    asked = Asked.of(file, SEX)
    asked.answer("a")
    first = asked.releases["a"].arrays["masked"]
    asked.answer("a")
    np.testing.assert_array_equal(asked.releases["a"].arrays["masked"], first)
    store = Path(shutil.copytree(site_of(file, "a").store.path, tmp_path / "store"))
    edit(file.parent / "a" / "site" / "site.toml", {"store": f'"{store}"'})
    withdraw(store, [str(site_of(file, "a").store.dataset()["individual_id"].values[0])])
    asked.answer("a")
    assert [f.rule for f in asked.releases["a"].findings] == ["one_mask"]


# --- strangers, and peers nobody knows ---


def test_open__a_stranger_is_told_nothing(file: Path) -> None:
    asked = Asked.of(file, SEX)
    asked.answer("a")
    opening = encode_opening(asked.raw, STRANGER)
    answer = message.read_header(site_of(file, "a").answer(opening))
    assert (answer["kind"], answer["status"], answer["run"]) == ("release", "refused", "")
    with pytest.raises(EucanError):
        decode_opened(
            site_of(file, "a").answer(opening),
            asked.public("a"),
            site="a",
            opening=opening,
            own=STRANGER,
        )


def test_open__not_for_another_asker_than_asked(file: Path) -> None:
    """Somebody who may ask puts another's request into an opening."""
    asked = Asked.of(file, SEX)
    asked.answer("a")
    admit(file.parent / "a" / "site", STRANGER, name="other")
    opening = encode_opening(asked.raw, STRANGER)
    answer = message.read_header(site_of(file, "a").answer(opening))
    assert (answer["kind"], answer["status"]) == ("release", "refused")


def test_open__not_once_the_asker_is_no_longer_admitted_with_masks(file: Path) -> None:
    asked = Asked.of(file, SEX)
    asked.answer("a")
    parties = file.parent / "a" / "site" / "parties.toml"
    parties.write_text(
        parties.read_text()
        .replace('"masked"', '"none"')
        .replace('"none", "trusted", "none"', '"none", "trusted"')
    )
    with pytest.raises(Refused, match="asker; this key may ask with"):
        asked.open("a")


def test_answer__sites_invented_by_the_asker_are_refused(file: Path) -> None:
    """Two of the three sites are the asker's own: it knows their masks, and so the third's sums."""
    asked = Asked.of(file, SEX, sites="abc")
    sybils = {
        name: sign_mask_key(Ed25519PrivateKey.generate(), name) for name in ("sybil", "tybil")
    }
    keys = {"a": asked.request.mask_keys["a"], **sybils}
    own = replace(asked.request.keep("a"), mask_keys=keys)
    own = replace(own, roster=replace(own.roster, sites=("a", "sybil", "tybil")))
    invented = Asked(file, own)
    invented.answer("a")
    assert [f.rule for f in invented.releases["a"].findings] == ["peers"]


def test_answer__another_key_for_a_known_site_is_refused(file: Path) -> None:
    asked = Asked.of(file, SEX)
    for other in (
        sign_mask_key(STRANGER, "b"),
        asked.request.mask_keys["c"],
        (asked.request.mask_keys["b"][0], asked.request.mask_keys["c"][1]),
    ):
        keys = {**asked.request.mask_keys, "b": other}
        swapped = Asked(file, replace(asked.request, mask_keys=keys))
        swapped.answer("a")
        assert [f.rule for f in swapped.releases["a"].findings] == ["peers"]
        with pytest.raises(Refused, match="peers"):
            swapped.open("a")


def test_answer__two_sites_are_refused(file: Path) -> None:
    asked = Asked.of(file, SEX, sites="ab")
    asked.answer("a")
    assert [f.rule for f in asked.releases["a"].findings] == ["masked_sites"]


# --- bytes ---


def test_decode_opened__answers_of_others_are_not_taken(file: Path) -> None:
    asked, other = Asked.of(file, SEX), Asked.of(file, SEX)
    for each in (asked, other):
        each.answer()
    opening = encode_opening(asked.raw, KEY)
    mine = site_of(file, "a").answer(opening)
    elsewhere = site_of(file, "a").answer(encode_opening(other.raw, KEY))
    public = asked.public("a")
    options = {"site": "a", "opening": opening, "own": KEY}
    assert len(decode_opened(mine, public, **options)) == 32
    with pytest.raises(Invalid, match="answers another opening"):
        decode_opened(elsewhere, public, **options)
    with pytest.raises(Invalid, match="signature"):
        decode_opened(mine, asked.public("b"), **options)
    with pytest.raises(Invalid, match="answers another opening"):
        decode_opened(mine, public, **{**options, "site": "b"})
    with pytest.raises(Invalid, match="signature"):
        decode_opened(mine + bytes(2**17), public, **options)
    with pytest.raises(Invalid, match="cannot be opened"):
        decode_opened(mine, public, **{**options, "own": STRANGER})
    for at in range(0, len(mine), 37):
        with pytest.raises(Invalid):
            decode_opened(mine[:at] + bytes([mine[at] ^ 1]) + mine[at + 1 :], public, **options)


def test_decode_opened__a_signed_answer_without_a_key(file: Path) -> None:
    asked = Asked.of(file, SEX)
    asked.answer("a")
    opening = encode_opening(asked.raw, KEY)
    raw = site_of(file, "a").answer(opening)
    header, arrays = message.unpack(raw[:-64])
    key = Ed25519PrivateKey.generate()
    body = message.pack(header, {"other": arrays["sealed"]})
    signed = body + wire.sign(key, wire.RELEASE, body)
    with pytest.raises(Invalid, match="holds no key"):
        decode_opened(signed, key.public_key(), site="a", opening=opening, own=KEY)


def test_opening__is_told_from_a_request(file: Path) -> None:
    asked = Asked.of(file, SEX)
    opening = encode_opening(asked.raw, KEY)
    assert is_opening(opening)
    assert not is_opening(asked.raw)
    assert decode_opening(opening) == asked.raw
    with pytest.raises(Invalid, match="is not an opening"):
        decode_opening(asked.raw)
    assert encode_opening(asked.raw, KEY) == opening, "the same bytes: a site keeps what it said"


# --- totals that cannot be ---


def test_unmasked__a_negative_count_is_refused(file: Path) -> None:
    """A site that sends what cannot be, under true masks."""
    asked = Asked.of(file, SEX)
    expected = leaving(asked.request.analysis, asked.request.coords, "masked")
    layout = Layout.of(expected)
    arrays = {name: np.zeros(shape, dtype) for name, (shape, dtype) in expected.items()}
    arrays["cohort_n_individuals"][0] = -1
    own = {name: X25519PrivateKey.generate() for name in "abcd"}
    public = {name: key.public_key() for name, key in own.items()}
    masks = {name: Masks(own[name], name, public, bytes(32)) for name in "abcd"}
    releases = []
    for name in "abcd":
        words = masks[name].cover(encode(arrays, expected, n_sites=4), layout)
        releases.append(
            Release(name, "r", 0, asked.request.analysis.name, "released", arrays={"masked": words})
        )
    with pytest.raises(Invalid, match="masked, cohort_n_individuals: a count is negative"):
        unmasked(asked.request, releases, [masks[name].self_key() for name in "abcd"])
