"""Masks: they cancel over a whole roster, and over nothing less; to the letter of their text."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import pickle
import struct
from fractions import Fraction

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eucan_dask import masks
from eucan_dask.errors import EucanError, Invalid
from eucan_dask.fixed_point import PIECE, Layout, add, decode, encode, subtract
from eucan_dask.masks import Masks, uncover

COUNT, SUM = np.dtype(np.int64), np.dtype(np.float64)
CONTEXT = hashlib.sha256(b"a request").digest()
NAMES = ("Aarhus", "Bergen", "Cluj", "Delft", "Évora", "Faro", "Gent", "Huelva")


def secret(name: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def keys(names) -> dict[str, X25519PublicKey]:
    return {name: secret(name).public_key() for name in names}


def masks_of(names, context: bytes = CONTEXT) -> dict[str, Masks]:
    public = keys(names)
    return {name: Masks(secret(name), name, public, context) for name in names}


def partials(n_sites: int, n: int, seed: int = 3) -> tuple[list[dict], dict]:
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.integers(-12, 12, n)
    arrays = [
        {"n": rng.integers(0, 50, n), "x": np.round(rng.normal(size=n), 3) * size}
        for _ in range(n_sites)
    ]
    return arrays, {"n": ((n,), COUNT), "x": ((n,), SUM)}


def stream(masks: Masks, layout: Layout) -> np.ndarray:
    """What a site adds to its numbers."""
    return masks.cover(np.zeros(layout.n_words, np.uint64), layout)


# --- what they do ---


@pytest.mark.parametrize("n_sites", range(3, 9))
@pytest.mark.parametrize("n", [1, 100, PIECE + 5])
def test_uncover__gives_the_clear_total_bit_for_bit(n_sites: int, n: int) -> None:
    arrays, leaving = partials(n_sites, n)
    layout = Layout.of(leaving)
    made = masks_of(NAMES[:n_sites])
    clear = [encode(a, leaving, n_sites=n_sites) for a in arrays]
    covered = [m.cover(v.copy(), layout) for m, v in zip(made.values(), clear, strict=True)]
    opened = [m.self_key() for m in made.values()]
    total = uncover(iter(covered), opened, layout)
    expected = np.zeros(layout.n_words, np.uint64)
    for vector in clear:
        for piece, paired in layout.pieces():
            add(expected[piece], vector[piece], paired=paired)
    np.testing.assert_array_equal(total, expected)
    found = decode(total, leaving, n_sites=n_sites)
    np.testing.assert_array_equal(found["n"], sum(a["n"] for a in arrays))
    apart = np.sum([np.abs(a["x"]) for a in arrays], axis=0)
    off = np.abs(found["x"] - sum(a["x"] for a in arrays))
    # The clear sum is itself rounded n_sites times; the words are not.
    assert (off <= n_sites * (2.0**-65 + np.finfo(float).eps * apart)).all()
    backwards = uncover(reversed(covered), opened, layout)
    np.testing.assert_array_equal(backwards, total)


@settings(max_examples=30)
@given(
    st.integers(3, 6).flatmap(
        lambda n: st.lists(
            st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(-1e15, 1e15)),
            min_size=n,
            max_size=n,
        )
    )
)
def test_uncover__any_numbers(sites) -> None:
    leaving = {"n": ((), COUNT), "x": ((), SUM)}
    layout, n = Layout.of(leaving), len(sites)
    made = masks_of(NAMES[:n])
    covered = [
        m.cover(encode({"n": np.array(i), "x": np.array(x)}, leaving, n_sites=n), layout)
        for m, (i, x) in zip(made.values(), sites, strict=True)
    ]
    total = uncover(covered, [m.self_key() for m in made.values()], layout)
    found = decode(total, leaving, n_sites=n)
    exact = sum(i for i, _ in sites) % 2**64
    assert int(found["n"]) == exact - (2**64 if exact >= 2**63 else 0)
    scaled = sum(round(Fraction(x) * 2**64) for _, x in sites)
    assert float(found["x"]) == scaled / 2**64


def test_cover__changes_the_vector_in_place() -> None:
    layout = Layout(3, 2)
    vector = np.zeros(layout.n_words, np.uint64)
    assert masks_of(NAMES[:3])["Cluj"].cover(vector, layout) is vector
    assert (vector != 0).all()


# --- to the letter: the same words from HMAC and ChaCha20 written out ---


def rotated(x: int, by: int) -> int:
    return ((x << by) | (x >> (32 - by))) & 0xFFFFFFFF


def chacha20(key: bytes, n_bytes: int) -> bytes:
    """RFC 8439, section 2.3: counter and nonce 0."""
    out = b""
    for counter in range(-(-n_bytes // 64)):
        start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key)]
        start += [counter, 0, 0, 0]
        x = list(start)
        columns = [(i, 4 + i, 8 + i, 12 + i) for i in range(4)]
        diagonals = [(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4)]
        for a, b, c, d in (columns + diagonals) * 10:
            for to, other, moved, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[to] = (x[to] + x[other]) & 0xFFFFFFFF
                x[moved] = rotated(x[moved] ^ x[to], by)
        out += struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(x, start, strict=True)))
    return out[:n_bytes]


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869: no salt, 32 bytes."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


ZEROS = (
    "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
    "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
)


def test_stream__is_chacha20_of_rfc_8439() -> None:
    """Appendix A.1, test vector 1: key, nonce and counter 0."""
    assert masks._stream(bytes(32)).update(bytes(64)).hex() == ZEROS
    assert chacha20(bytes(32), 64).hex() == ZEROS


def test_derive__is_hkdf_of_rfc_5869() -> None:
    """Appendix A.3 for the peer; the peer for ours."""
    okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert hkdf(b"\x0b" * 22, b"").hex() == okm
    use = hashlib.sha256(json.dumps(["bound", "a", "b"]).encode()).digest()
    assert masks._derive(b"secret", b"for\n", "bound", "a", "b") == hkdf(b"secret", b"for\n" + use)


def test_shared__is_x25519_of_rfc_7748() -> None:
    """Section 6.1."""
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    agreed = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    own, other = X25519PrivateKey.from_private_bytes(alice), X25519PublicKey.from_public_bytes(bob)
    assert masks._shared(own, other).hex() == agreed


def test_cover__is_what_its_text_says() -> None:
    names, layout = sorted(NAMES[:4]), Layout(2, 3)
    public = keys(names)
    sent = [[n, public[n].public_bytes_raw().hex()] for n in names]
    bound = json.dumps([CONTEXT.hex(), sent])

    def numbers(secret: bytes, purpose: bytes, *who: str) -> list[int]:
        use = hashlib.sha256(json.dumps([bound, *who]).encode()).digest()
        raw = chacha20(hkdf(secret, purpose + use), 8 * layout.n_words)
        words = struct.unpack(f"<{layout.n_words}Q", raw)
        return [*words[:3], *(words[i] + (words[i + 1] << 64) for i in (3, 5, 7))]

    for site in names:
        own = secret(site)
        mask = numbers(own.private_bytes_raw(), b"eucan-dask self mask 1\n", site)
        for other in set(names) - {site}:
            pair = sorted((site, other))
            more = numbers(own.exchange(public[other]), b"eucan-dask mask 1\n", *pair)
            sign = 1 if site == pair[0] else -1
            mask = [a + sign * b for a, b in zip(mask, more, strict=True)]
        words = [m % 2**64 for m in mask[:3]]
        for m in mask[3:]:
            words += [m % 2**64, (m >> 64) % 2**64]
        assert stream(Masks(own, site, public, CONTEXT), layout).tolist() == words


# --- what they hide ---


def is_noise(words: np.ndarray) -> bool:
    """No byte of a word, and no bit, is more frequent than chance allows."""
    columns = np.ascontiguousarray(words).view(np.uint8).reshape(-1, 8)
    p_values = [stats.chisquare(np.bincount(c, minlength=256)).pvalue for c in columns.T]
    bits = np.unpackbits(columns, axis=1).sum(axis=0)
    p_values += [stats.binomtest(int(b), len(words)).pvalue for b in bits]
    return min(p_values) > 0.001 / len(p_values)


N_WORDS = 20_000


@pytest.fixture(scope="module")
def roster():
    """Four sites: layout, clear and covered vectors, keys of the sites' own masks."""
    arrays, leaving = partials(4, N_WORDS)
    layout = Layout.of(leaving)
    made = masks_of(NAMES[:4])
    clear = [encode(a, leaving, n_sites=4) for a in arrays]
    covered = [m.cover(v.copy(), layout) for m, v in zip(made.values(), clear, strict=True)]
    return leaving, layout, clear, covered, [m.self_key() for m in made.values()]


def parts(vector: np.ndarray, layout: Layout) -> list[np.ndarray]:
    """Counts, low and high words: each has to be noise on its own."""
    pairs = vector[layout.n_single :]
    return [vector[: layout.n_single], pairs[0::2], pairs[1::2]]


def test_is_noise__is_not_said_of_what_is_none(roster) -> None:
    _, layout, clear, covered, opened = roster
    for vector in (*clear, uncover(covered, opened, layout)):
        assert not any(is_noise(part) for part in parts(vector, layout))
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 2**64, N_WORDS, np.uint64)
    assert is_noise(noise)
    for spoiled in (noise | np.uint64(2**40), noise - noise % np.uint64(8), noise >> np.uint64(1)):
        assert not is_noise(spoiled)
    a_little = noise & ~(np.uint64(2**20) * (rng.random(N_WORDS) < 0.1))
    assert not is_noise(a_little)


@pytest.mark.parametrize(
    "some", [s for n in (1, 2, 3) for s in itertools.combinations(range(4), n)]
)
def test_cover__fewer_than_all_vectors_are_noise(roster, some) -> None:
    leaving, layout, _, covered, opened = roster
    total = uncover([covered[i] for i in some], [opened[i] for i in some], layout)
    assert all(is_noise(part) for part in parts(total, layout))
    for n in (len(some), 4):
        with pytest.raises(Invalid, match="do not cancel"):
            decode(total, leaving, n_sites=n)


@pytest.mark.parametrize("lacking", range(4))
def test_cover__all_vectors_without_one_opening_are_noise(roster, lacking: int) -> None:
    leaving, layout, _, covered, opened = roster
    other = [bytes(32) if i == lacking else key for i, key in enumerate(opened)]
    total = uncover(covered, other, layout)
    assert all(is_noise(part) for part in parts(total, layout))
    with pytest.raises(Invalid, match="do not cancel"):
        decode(total, leaving, n_sites=4)


def test_cover__two_sites_that_tell_all_learn_the_others_sum_alone(roster) -> None:
    """The coordinator with the secrets of two of four: the other two stay under their pair."""
    _, layout, clear, covered, opened = roster
    first, second, *telling = NAMES[:4]
    known = dict.fromkeys([opened[0]], subtract)
    for other in telling:
        known[pair_key(NAMES[:4], other, first)] = subtract  # the first added it
    left = covered[0].copy()
    masks._change(left, known.items(), layout)
    assert all(is_noise(part) for part in parts(left, layout))
    masks._change(left, [(pair_key(NAMES[:4], second, first), subtract)], layout)
    np.testing.assert_array_equal(left, clear[0])  # so it was that last mask that hid it


def pair_key(names, mine: str, other: str) -> bytes:
    """What one site can compute of a pair it is in."""
    public = keys(names)
    raw = [[name, key.public_bytes_raw().hex()] for name, key in sorted(public.items())]
    bound = json.dumps([CONTEXT.hex(), raw])
    shared = secret(mine).exchange(public[other])
    return masks._derive(shared, masks.PAIR, bound, *sorted((mine, other)))


# --- what they are bound to ---


def changed(**other) -> Masks:
    given = {"own": secret("Aarhus"), "site": "Aarhus", "keys": keys(NAMES[:4]), "context": CONTEXT}
    return Masks(**{**given, **other})


SWAPPED = dict(zip(NAMES[:4], (secret(NAMES[i]).public_key() for i in (0, 2, 1, 3)), strict=True))
OTHERS = {
    "context": lambda: changed(context=hashlib.sha256(b"a request, round 1").digest()),
    "a site fewer": lambda: changed(keys=keys(NAMES[:3])),
    "a site more": lambda: changed(keys=keys(NAMES[:5])),
    "names in another order": lambda: changed(keys=SWAPPED),
    "another key of a peer": lambda: changed(
        keys={**keys(NAMES[:4]), "Delft": secret("other").public_key()}
    ),
    "another name for a peer": lambda: changed(keys={**keys(NAMES[:3]), "D": keys("D")["D"]}),
    "another name": lambda: Masks(
        secret("Aarhus"),
        "Zadar",
        {**keys(NAMES[1:4]), "Zadar": secret("Aarhus").public_key()},
        CONTEXT,
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_masks__of_another_question_or_roster_share_no_stream(what: str) -> None:
    """Neither the own mask nor that of any pair comes again, so no difference cancels one."""
    one, other = changed(), OTHERS[what]()

    def made(masks: Masks) -> set[bytes]:
        return {masks.self_key(), *(key for key, _ in masks._pairs)}

    assert len(made(one)) == 4
    assert not made(one) & made(other)
    layout = Layout(N_WORDS, 0)
    assert is_noise(stream(one, layout) - stream(other, layout))


def test_masks__the_order_keys_are_given_in_does_not_matter() -> None:
    layout = Layout(5, 5)
    backwards = dict(reversed(keys(NAMES[:4]).items()))
    np.testing.assert_array_equal(
        stream(changed(), layout), stream(changed(keys=backwards), layout)
    )


def test_masks__every_pair_and_site_has_a_stream_of_its_own() -> None:
    made = masks_of(NAMES).values()
    own = {m.self_key() for m in made}
    pairs = [key for m in made for key, _ in m._pairs]
    assert len(own) == 8
    assert len(set(pairs)) == 28
    assert all(pairs.count(key) == 2 for key in set(pairs))
    assert not own & set(pairs)


def test_uncover__keys_that_do_not_match_give_noise_that_is_told(roster) -> None:
    leaving, layout, clear, covered, opened = roster
    public = {**keys(NAMES[:3]), "Delft": secret("other").public_key()}
    impostor = Masks(secret("other"), "Delft", public, CONTEXT)
    wrong = impostor.cover(clear[3].copy(), layout)
    total = uncover([*covered[:3], wrong], [*opened[:3], impostor.self_key()], layout)
    assert all(is_noise(part) for part in parts(total, layout))
    with pytest.raises(Invalid, match="do not cancel"):
        decode(total, leaving, n_sites=4)


# --- what is refused ---


@pytest.mark.parametrize("n", [0, 1, 2])
def test_masks__need_three_sites(n: int) -> None:
    with pytest.raises(Invalid, match="three sites"):
        changed(keys=keys(NAMES[:n]))


def test_masks__two_names_with_one_key_are_no_two_sites() -> None:
    with pytest.raises(Invalid, match="key of its own"):
        changed(keys={**keys(NAMES[:3]), "Delft": secret("Bergen").public_key()})


def test_masks__a_key_that_is_not_the_sites_own_is_refused() -> None:
    with pytest.raises(Invalid, match="not its own"):
        changed(own=secret("other"))
    with pytest.raises(Invalid, match="not its own"):
        changed(site="Zadar")


@pytest.mark.parametrize("raw", [bytes(32), bytes([1]) + bytes(31)])
def test_masks__a_key_that_anybody_could_compute_with_is_refused(raw: bytes) -> None:
    small = X25519PublicKey.from_public_bytes(raw)
    with pytest.raises(Invalid, match="a mask key is none"):
        changed(keys={**keys(NAMES[:3]), "Delft": small})


@pytest.mark.parametrize("context", [b"", b"short", bytes(64)])
def test_masks__a_context_that_is_no_digest_is_refused(context: bytes) -> None:
    with pytest.raises(Invalid, match="no SHA-256"):
        changed(context=context)


@pytest.mark.parametrize("n_words", [0, 7, 9])
def test_cover__a_vector_of_another_length_is_refused(n_words: int) -> None:
    layout = Layout(3, 2)
    assert layout.n_words == 8
    wrong = np.zeros(n_words, np.uint64)
    with pytest.raises(Invalid, match="length"):
        changed().cover(wrong, layout)
    right = np.zeros(8, np.uint64)
    with pytest.raises(Invalid, match="length"):
        uncover([right, wrong, right], [bytes(32)] * 3, layout)


@pytest.mark.parametrize("opened", [[], [bytes(32)] * 2, [bytes(32)] * 4, [bytes(31)] * 3])
def test_uncover__every_vector_needs_a_whole_key(opened) -> None:
    layout = Layout(3, 2)
    with pytest.raises(Invalid, match="opening"):
        uncover([np.zeros(8, np.uint64)] * 3, opened, layout)


def test_uncover__what_came_over_the_wire_is_not_written_to() -> None:
    layout = Layout(1, 1)
    raw = np.frombuffer(bytes(32), "<u8")
    assert not raw.flags.writeable
    assert uncover([raw] * 3, [bytes(32)] * 3, layout).shape == (4,)


def test_masks__are_never_sent_and_tell_nothing() -> None:
    made = changed()
    with pytest.raises(EucanError, match="never pickled"):
        pickle.dumps(made)
    assert repr(made) == "Masks(4 sites)"
