"""What masks cost: seconds and bytes of a site and of the aggregator, against clear sums.

Every line is measured in one run: the site writes its arrays to bytes and signs them (clear), or
turns them into words, covers, writes and signs those (masked); the aggregator checks signatures and
adds up what all sites sent, and under masks also takes the sites' own masks away and reads the
numbers back. One vector stands for all: the aggregator looks at them one by one, so its memory does
not grow with the sites. Medians of runs in turn where they are short. The numbers are sums, which
cost more than counts: `--counts` for those.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import statistics
import time
from collections.abc import Callable, Iterable

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from eucan_dask.fixed_point import Layout, Leaving, decode, encode
from eucan_dask.masks import Masks, uncover

KEY = Ed25519PrivateKey.generate()
CONTEXT = hashlib.sha256(b"a request").digest()
OPENING = 400  # bytes of a site's opening, asked and given: keys, digest, signatures
SHORT = 1.0  # seconds below which a measurement is repeated
RUNS = 5


def masks_of(n_sites: int) -> list[Masks]:
    """Every site's masks; making them, a key agreement with every peer, is timed apart."""
    secrets = {f"site {i:02d}": X25519PrivateKey.generate() for i in range(n_sites)}
    public = {name: key.public_key() for name, key in secrets.items()}
    return [Masks(secret, name, public, CONTEXT) for name, secret in secrets.items()]


def signed(body: bytes) -> tuple[bytes, bytes]:
    return KEY.sign(body), body


def believed(message: tuple[bytes, bytes]) -> bytes:
    KEY.public_key().verify(*message)
    return message[1]


def clear_site(values: NDArray[np.generic]) -> tuple[bytes, bytes]:
    return signed(values.tobytes())


def masked_site(
    values: NDArray[np.generic], leaving: Leaving, masks: Masks, n_sites: int
) -> tuple[bytes, bytes]:
    vector = encode({"x": values}, leaving, n_sites=n_sites)
    return signed(masks.cover(vector, Layout.of(leaving)).tobytes())


def clear_total(sent: Iterable[tuple[bytes, bytes]], dtype: np.dtype) -> NDArray[np.generic]:
    received = (np.frombuffer(believed(message), dtype) for message in sent)
    total = next(received).copy()
    for values in received:
        total += values
    return total


def masked_total(
    sent: Iterable[tuple[bytes, bytes]], opened: list[bytes], leaving: Leaving
) -> None:
    """All the work; the numbers are noise, as the vectors are not those of one roster."""
    vectors = (np.frombuffer(believed(message), "<u8") for message in sent)
    total = uncover(vectors, opened, Layout.of(leaving))
    total[0] = len(opened)
    decode(total, leaving, n_sites=len(opened))


def seconds(*calls: Callable[[], object]) -> list[float]:
    """Of each call; short ones in turn, several times, and the median."""
    found: list[list[float]] = [[] for _ in calls]
    for run in range(RUNS):
        for call, times in zip(calls, found, strict=True):
            if not run or max(times) < SHORT:
                start = time.perf_counter()
                call()
                times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in found]


def line(n_sites: int, n: int, dtype: np.dtype) -> list[str]:
    """One line of the table."""
    leaving = {"x": ((n,), dtype)}
    rng = np.random.default_rng(n)
    values = rng.integers(0, 1000, n).astype(dtype) if dtype == np.int64 else rng.normal(size=n)
    masks = masks_of(n_sites)
    clear, masked = seconds(
        lambda: clear_site(values), lambda: masked_site(values, leaving, masks[0], n_sites)
    )
    plain, hidden = clear_site(values), masked_site(values, leaving, masks[0], n_sites)
    opened = [mask.self_key() for mask in masks]
    added, uncovered = seconds(
        lambda: clear_total((plain for _ in masks), dtype),
        lambda: masked_total((hidden for _ in masks), opened, leaving),
    )
    before, after = (sum(map(len, message)) for message in (plain, hidden))
    after += OPENING
    return [
        f"{n_sites}",
        f"1e{len(str(n)) - 1}",
        shown(clear),
        shown(masked),
        f"{masked / clear:.1f}",
        f"{after * n_sites / masked / 1e9:.1f}",
        shown(added),
        shown(uncovered),
        f"{uncovered / added:.1f}",
        f"{after:,}",
        f"{after / before:.2f}",
    ]


def shown(time: float) -> str:
    return (
        f"{time * 1e6:.0f} us" if time < 1e-3 else f"{time:.4f} s" if time < 1 else f"{time:.1f} s"
    )


HEAD = (
    "sites",
    "numbers",
    "site, clear",
    "site, masked",
    "ratio",
    "GB/s of masks",
    "aggregator, clear",
    "aggregator, masked",
    "ratio",
    "bytes of a site",
    "ratio",
)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, nargs="+", default=[3, 8, 16, 64])
    parser.add_argument("--powers", type=int, nargs="+", default=[3, 4, 5, 6, 7])
    parser.add_argument("--counts", action="store_true", help="counts instead of sums")
    arguments = parser.parse_args()
    dtype = np.dtype(np.int64 if arguments.counts else np.float64)
    print(f"| {' | '.join(HEAD)} |")
    print(f"|{'---:|' * len(HEAD)}")
    for power in arguments.powers:
        for n_sites in arguments.sites:
            print(f"| {' | '.join(line(n_sites, 10**power, dtype))} |", flush=True)
    agreed = {n: seconds(lambda n=n: masks_of(n))[0] / n for n in arguments.sites}
    told = ", ".join(f"{n}: {shown(time)}" for n, time in agreed.items())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nKeys of one site, with its own made anew, by sites: {told}. Peak {peak:.1f} GiB.")


if __name__ == "__main__":
    main()
