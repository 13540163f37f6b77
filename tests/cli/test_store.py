"""`ingest`, `store`, `site` and `federation`: the commands of a data owner."""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path

import pytest

from eucan_dask.hello import fingerprint
from eucan_dask.keys import read_private, read_public
from eucan_dask.parties import Parties
from eucan_dask.policy import Policy, template
from eucan_dask.store.open import open_store
from tests.cli.commands import Answer, Cli, refusal, tree
from tests.store.store_tables import CLINICAL, MAF, mutation, table

NEW = {**CLINICAL[0], "individual_id": "E", "sample_id": "E-1"}


def _digest(store: Path) -> str:
    return open_store(store).manifest.digest


def _people(store: Path) -> list[str]:
    return [str(name) for name in open_store(store).dataset()["individual_id"].values]


def test_ingest__tells_what_it_did(
    clinical_store: Path, maf: Path, assayed: Path, cli: Cli
) -> None:
    options = ("--store", clinical_store, "--assembly", "GRCh37", "--assayed", assayed)
    first = cli("ingest", "maf", maf, *options)
    assert first.code == 0
    assert f"freeze {_digest(clinical_store)} (personal)" in first.out
    assert "5 samples, 6 mutations" in first.out
    before = tree(clinical_store)
    again = cli("ingest", "maf", maf, *options)
    assert again.code == 0
    assert "nothing to do" in again.out
    assert tree(clinical_store) == before


def test_store_describe__what_its_owner_asks(store: Path, cli: Cli) -> None:
    answer = cli("store", "describe", store)
    assert answer.code == 0
    rows = {line.split()[0]: line.split()[-1] for line in answer.out.splitlines() if line.split()}
    assert (rows["n_individuals"], rows["n_samples"], rows["n_mutations"]) == ("4", "5", "6")
    assert rows["freeze"] != ""
    for word in ("GRCh37", "personal", _digest(store), "age_at_diagnosis", "'n_missing': 1"):
        assert word in answer.out


def test_store_verify__names_the_changed_file(store: Path, cli: Cli) -> None:
    whole = cli("store", "verify", store)
    assert (whole.code, whole.out) == (0, "every shard is as it was written\n")
    path = next((store / "freezes" / _digest(store) / "somatic.zarr").glob("mutation_position/0*"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    harmed = cli("store", "verify", store)
    assert harmed.code == 2
    assert harmed.out == f"{_digest(store)}: somatic.zarr/mutation_position/0 was changed\n"


def test_store_add__people_then_their_mutations(store: Path, tmp_path: Path, cli: Cli) -> None:
    more = table(tmp_path / "more.tsv", [NEW])
    mutations = table(tmp_path / "more.maf", [mutation(Tumor_Sample_Barcode="E-1")])
    before = tree(store)
    refusal(cli("store", "add", store, "--clinical", more), "store add", "--mapping")
    options = ("--clinical", more, "--mapping", "plain")
    refusal(cli("store", "add", store, *options), "E-1", "--unmatched keep")
    assert tree(store) == before
    assert cli("store", "add", store, *options, "--unmatched", "keep").code == 0
    added = cli("store", "add", store, "--maf", mutations)
    assert added.code == 0
    assert "7 mutations" in added.out
    assert _people(store) == ["A", "B", "C", "D", "E"]
    twice = table(tmp_path / "twice.tsv", [{**NEW, "stage": "II"}])
    before = tree(store)
    known = cli("store", "add", store, "--clinical", twice, "--mapping", "plain")
    refusal(known, "already", "E")
    assert tree(store) == before


def test_store_withdraw_and_drop__nobody_is_left(store: Path, tmp_path: Path, cli: Cli) -> None:
    first = _digest(store)
    gone = tmp_path / "gone.txt"
    gone.write_text("B\n")
    answer = cli("store", "withdraw", store, "A", "--file", gone)
    assert answer.code == 0
    assert f"freeze {first} still holds them" in answer.out
    assert _people(store) == ["C", "D"]
    refusal(
        cli("store", "drop-freeze", store, _digest(store)),
        "is the current one",
        "only earlier freezes",
    )
    assert cli("store", "drop-freeze", store, first).out == f"freeze {first} is deleted\n"
    assert first not in "".join(tree(store / "freezes"))
    for old in [p.name for p in (store / "freezes").iterdir() if p.name != _digest(store)]:
        assert cli("store", "drop-freeze", store, old).code == 0
    assert [p.name for p in (store / "freezes").iterdir()] == [_digest(store)]
    assert cli("store", "verify", store).code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("withdraw", "Z"), ("1 ids are not in the store", "Z", "nothing was withdrawn")),
        (("withdraw",), ("names nobody", "give ids or --file")),
        (("withdraw", "--file", "nowhere.txt"), ("nowhere.txt", "cannot be read")),
        (("drop-freeze", "0123456789ab"), ("unknown freeze '0123456789ab'",)),
    ],
)
def test_store__what_it_does_not_hold(
    arguments: tuple[str, ...], words: tuple[str, ...], store: Path, cli: Cli
) -> None:
    before = tree(store)
    refusal(cli("store", arguments[0], store, *arguments[1:]), *words)
    assert tree(store) == before


def _init(cli: Cli, store: Path, site: Path, *options: str) -> Answer:
    return cli("site", "init", site, "--name", "north", "--store", store, *options)


def test_site_init__recommended_unless_said_otherwise(
    store: Path, tmp_path: Path, cli: Cli
) -> None:
    site = tmp_path / "site"
    answer = _init(cli, store, site)
    assert answer.code == 0
    assert "policy.toml (recommended)" in answer.out
    assert (site / "policy.toml").read_text() == template("recommended")
    assert not Policy.read(site / "policy.toml").public
    key = site / "keys" / "site.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert tomllib.loads((site / "site.toml").read_text())["name"] == "north"
    before = tree(site)
    refusal(_init(cli, store, site), "holds a site already", "another directory")
    assert tree(site) == before


def test_site_init__no_public_policy_over_personal_data(
    store: Path, tmp_path: Path, cli: Cli
) -> None:
    answer = _init(cli, store, tmp_path / "site", "--public")
    refusal(answer, "personal data cannot run a public policy", "use --recommended")
    assert not (tmp_path / "site").exists()


def test_federation_init__from_site_directories(
    clinical_store: Path, maf: Path, assayed: Path, tmp_path: Path, cli: Cli
) -> None:
    where = ("--store", clinical_store, "--assembly", "GRCh37", "--assayed", assayed)
    assert cli("ingest", "maf", maf, *where).code == 0
    sites = [tmp_path / "site0", tmp_path / "site1"]
    for number, site in enumerate(sites):
        made = cli("site", "init", site, "--name", f"s{number}", "--store", clinical_store)
        assert made.code == 0
    file = tmp_path / "deep" / "federation.toml"
    options = ("--site", sites[0], "--site", f"in_process:{sites[1]}", "--name", "two")
    made = cli("federation", "init", file, *options)
    public = file.with_suffix(".pub")
    assert made.out.splitlines() == [
        f"wrote {file}",
        f"fingerprint of two: {fingerprint(read_public(public))}",
        *(
            f"its steward runs: eucan-dask site admit {site} --asker two --key {public} "
            "--aggregators none"
            for site in sites
        ),
    ]
    assert read_private(file.with_suffix(".key")).public_key() == read_public(public)
    written = tomllib.loads(file.read_text())
    assert (written["name"], written["min_sites"]) == ("two", 2)
    assert [row["link"] for row in written["sites"]] == [
        "in_process:../site0",
        "in_process:../site1",
    ]
    before = tree(tmp_path)
    refusal(cli("federation", "init", file, *options), "exists already", "another name")
    assert tree(tmp_path) == before
    found = cli("catalogue", "--federation", file)
    assert found.code == 0
    assert "GRCh37" in found.out
    refusal(
        cli("federation", "init", tmp_path / "f.toml", "--site", tmp_path / "nowhere"),
        "nowhere",
        "cannot be read",
    )
    assert not (tmp_path / "f.toml").exists()


@pytest.mark.parametrize("least", [0, 3])
def test_federation_init__min_sites_that_cannot_be_met(
    least: int, store: Path, tmp_path: Path, cli: Cli
) -> None:
    assert _init(cli, store, tmp_path / "site").code == 0
    file = tmp_path / "federation.toml"
    options = ("--site", tmp_path / "site", "--min-sites", least)
    made = cli("federation", "init", file, *options)
    asked = cli("catalogue", "--federation", file) if made.code == 0 else made
    refusal(asked, "min_sites cannot be met", "expected 1..1", f"found {least}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("min_sites = ", "min_site = "), ("unknown key 'min_site'", "did you mean 'min_sites'?")),
        (('"in_process:', '"in_proces:'), ("unknown link 'in_proces'", "'in_process'")),
        (('"in_process:', '"https:'), ("'https' is not offered yet", "in_process:DIR")),
        (("site.pub", "nowhere.pub"), ("nowhere.pub", "is no readable public key")),
        (('name = "north"', 'name = "south"'), ("another name", "correct the federation file")),
        (("round_to = 1 ", "round_to = 5 "), ("rounding is not offered yet",)),
    ],
)
def test_federation__broken_file(
    change: tuple[str, str], words: tuple[str, ...], store: Path, tmp_path: Path, cli: Cli
) -> None:
    assert _init(cli, store, tmp_path / "site").code == 0
    file = tmp_path / "federation.toml"
    assert cli("federation", "init", file, "--site", tmp_path / "site").code == 0
    assert cli("catalogue", "--federation", file).code == 0
    text = file.read_text()
    assert change[0] in text
    file.write_text(text.replace(*change))
    refusal(cli("catalogue", "--federation", file), *words)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("site.toml", ("format = 2", "format = 1"), ("site.toml", "expected 2", "parties.toml")),
        ("site.toml", ('parties = "', 'partys = "'), ("unknown key 'partys'",)),
        ("parties.toml", ("format = 1", "format = 2"), ("parties.toml", "expected 1")),
        ("parties.toml", ("format = 1", "format = 1\n[[askers]]"), ("missing key 'name'",)),
        ("../federation.toml", ("format = 2", "format = 1"), ("expected 2", "federation init")),
        ("../federation.toml", ("federation.key", "no.key"), ("no.key", "no readable private key")),
    ],
)
def test_site__broken_files(
    name: str,
    change: tuple[str, str],
    words: tuple[str, ...],
    store: Path,
    tmp_path: Path,
    cli: Cli,
) -> None:
    site, file = tmp_path / "site", tmp_path / "federation.toml"
    assert _init(cli, store, site).code == 0
    assert cli("federation", "init", file, "--site", site).code == 0
    broken = site / name
    text = broken.read_text()
    assert change[0] in text
    broken.write_text(text.replace(*change))
    refusal(cli("catalogue", "--federation", file), *words)


def test_site_admit__an_asker_and_a_peer(store: Path, tmp_path: Path, cli: Cli) -> None:
    site, other = tmp_path / "site", tmp_path / "other"
    assert _init(cli, store, site).code == 0
    assert _init(cli, store, other).code == 0
    key = other / "keys" / "site.pub"
    told = cli("site", "admit", site, "--peer", "south", "--key", key)
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines() == [
        f"admitted; fingerprint of south: {fingerprint(read_public(key))}",
        "compare it with its owner's own, by telephone",
    ]
    words = ("site", "admit", site, "--asker", "lab", "--key", key)
    assert cli(*words, "--aggregators", "trusted,masked").code == 0
    found = Parties.read(site / "parties.toml")
    assert [(a.name, a.aggregators) for a in found.askers] == [("lab", ("trusted", "masked"))]
    assert [p.name for p in found.peers] == ["south"]
    before = tree(tmp_path)
    refusal(cli(*words), "is admitted already", "edit the aggregators")
    refusal(cli(*words, "--aggregators", "nobody"), "unknown aggregator 'nobody'")
    private = other / "keys" / "site.key"
    refusal(cli(*words[:-1], private), "no readable public key")
    refusal(cli("site", "admit", tmp_path, "--asker", "x", "--key", key), "cannot be read")
    assert cli("site", "admit", site, "--key", key).code == 2
    assert tree(tmp_path) == before


def test_federation_init__admits_where_one_person_is_everybody(
    store: Path, tmp_path: Path, cli: Cli
) -> None:
    sites = [tmp_path / name for name in "abc"]
    for site in sites:
        assert cli("site", "init", site, "--name", site.name, "--store", store).code == 0
    file = tmp_path / "trial.toml"
    named = [word for site in sites for word in ("--site", site)]
    told = cli("federation", "init", file, "--admit", *named)
    assert told.code == 0
    assert "site admit" not in told.out
    for site in sites:
        found = Parties.read(site / "parties.toml")
        assert [(a.name, len(a.aggregators)) for a in found.askers] == [("trial", 3)]
        assert [p.name for p in found.peers] == [n for n in "abc" if n != site.name]
    file.unlink()
    again = cli("federation", "init", file, "--admit", *named)
    assert again.out == told.out, "the key is kept"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("min_cell = 10", "min_cel = 10"), ("policy.toml", "did you mean 'min_cell'?")),
        (("max_rounds = 25", ""), ("policy.toml [limits]", "missing key 'max_rounds'")),
        (("min_cell = 10", "min_cell = -1"), ("policy.toml", "min_cell", "negative")),
        (("min_cell = 10", 'min_cell = "10"'), ("'min_cell' has the wrong type", "expected int")),
        (('"registered", "controlled"]', '"registereds"]'), ("did you mean 'registered'?",)),
        (("public = false", "public = true"), ("personal data", "--recommended")),
        (("format = 2", "format = 3"), ("policy.toml", "has another format", "expected 2")),
    ],
)
def test_site__broken_policy(
    change: tuple[str, str], words: tuple[str, ...], store: Path, tmp_path: Path, cli: Cli
) -> None:
    assert _init(cli, store, tmp_path / "site").code == 0
    file = tmp_path / "federation.toml"
    assert cli("federation", "init", file, "--site", tmp_path / "site").code == 0
    policy = tmp_path / "site" / "policy.toml"
    text = policy.read_text()
    assert change[0] in text
    policy.write_text(text.replace(*change))
    refusal(cli("catalogue", "--federation", file), *words)


def test_mutations__counted_once_over_files(tmp_path: Path, clinical: Path, cli: Cli) -> None:
    """Two MAF files of one command, the second compressed, are one set of mutations."""
    parts = [
        table(tmp_path / "one.maf", MAF[:3]),
        table(tmp_path / "two.maf.gz", [MAF[2], *MAF[3:], mutation(Tumor_Sample_Barcode="D-1")]),
    ]
    store = tmp_path / "store"
    assert cli("ingest", "maf", *parts, "--store", store, "--assembly", "GRCh37").code == 0
    made = cli("ingest", "clinical", clinical, "--store", store, "--mapping", "plain")
    assert made.code == 0, made.err
    assert re.search(r"n_mutations +7\n", cli("store", "describe", store).out)
