"""What a site remembers beside memberships: rounds, requests, means, rosters, masks, refusals."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Refused
from eucan_dask.people import People
from eucan_dask.vault import Box, Vault
from eucan_dask.ways import Way, forget_way, keep_way

__all__ = ["Memory"]


class Memory:
    """Memory of questions, over all runs; its place is the vault."""

    vault: Vault
    people: People

    def one_request(self, run: str, round_: int, roster: Sequence[str], digest: str) -> None:
        """Remember which request a run and round stand for.

        A roster that lost a site begins again under the same run: it counts as another.

        Raises
        ------
        Refused
            If they stood for another request.
        """
        with self.vault.writing() as box:
            tag = box.tag("asked", run, str(round_), *roster)
            _same_or_refused(box, "asked", tag, digest, "replay", "ask under a new run")

    def check_rounds(self, question: str, digests: Sequence[str]) -> None:
        """Refuse a history that contradicts the rounds answered before; remember it otherwise.

        Raises
        ------
        Refused
            If a round of the history is not the one seen before, or was never answered here.
        """
        with self.vault.writing() as box:
            last = box.tag("answered", question, str(len(digests) - 1))
            if digests and box.get("answered", last) is None:
                raise Refused("history", "start the fit again")
            for round_, digest in enumerate(digests):
                tag = box.tag("round", question, str(round_))
                _same_or_refused(box, "round", tag, digest, "history", "start the fit again")

    def answered(self, question: str, round_: int) -> None:
        """Remember that a round was answered: only then the next may come."""
        with self.vault.open() as box:
            tag = box.tag("answered", question, str(round_))
            if box.get("answered", tag) is None:
                box.put("answered", tag)

    def moved_means(
        self, individuals: Sequence[str], used: NDArray[np.bool_], means: Mapping[str, float]
    ) -> NDArray[np.bool_]:
        """Which of `means`, by variant, differ from those the same people were answered with."""
        with self.vault.open() as box:
            tags = self._mean_tags(box, individuals, used, means)
            found = [box.get("mean", tag) for tag in tags]
        pairs = zip(found, means.values(), strict=True)
        return np.array([raw not in (None, _packed(mean)) for raw, mean in pairs], dtype=bool)

    def remember_means(
        self, individuals: Sequence[str], used: NDArray[np.bool_], means: Mapping[str, float]
    ) -> None:
        """Remember what missing dosages were taken for first, by variant."""
        with self.vault.writing() as box:
            tags = self._mean_tags(box, individuals, used, means)
            pairs = zip(tags, map(_packed, means.values()), strict=True)
            box.put_all("mean", [(t, raw) for t, raw in pairs if box.get("mean", t) is None])

    def _mean_tags(
        self,
        box: Box,
        individuals: Sequence[str],
        used: NDArray[np.bool_],
        labels: Iterable[str],
    ) -> list[bytes]:
        rows = np.sort(self.people.rows(box, individuals)[used.any(axis=1)])
        people = box.tag("people", rows.astype("<i8").tobytes())
        return [box.tag("mean", people, label) for label in labels]

    def open_roster(self, summands: Iterable[str], roster: Iterable[str]) -> None:
        """Remember for which sites together the sums of some summands were opened.

        Raises
        ------
        Refused
            If they were for other sites, or given in another way.
        """
        with self.vault.writing() as box:
            keep_way(box, summands, Way.of("masked", roster))

    def forget_roster(self, summand: str) -> bool:
        """Let a summand be given in another way, or with other sites; whether it was given.

        What was given before is not taken back: subtracted, the two may show one site's sums.
        """
        with self.vault.writing() as box:
            return forget_way(box, summand)

    def one_payload(self, request: str, payload: str) -> None:
        """Remember the digest of what was masked for a request.

        Raises
        ------
        Refused
            If something else was: two payloads under one mask show their difference.
        """
        with self.vault.writing() as box:
            tag = box.tag("payload", request)
            digest = box.tag("payload digest", payload).hex()
            _same_or_refused(box, "payload", tag, digest, "one_mask", "ask under a new run")

    def was_masked(self, request: str) -> None:
        """Refuse to open what was never answered.

        Raises
        ------
        Refused
            If nothing was masked for that request.
        """
        with self.vault.open() as box:
            if box.get("payload", box.tag("payload", request)) is None:
                raise Refused("opening", "ask the question first")

    def refusals(self, asker: str) -> int:
        """How often the ledger refused somebody."""
        with self.vault.open() as box:
            return n_refusals(box, asker)

    def count_refusal(self, asker: str) -> None:
        """Remember a refusal by the ledger."""
        with self.vault.writing() as box:
            about = {"asker": asker, "refusals": n_refusals(box, asker) + 1}
            box.put("refusals", box.tag("asker", asker), json.dumps(about).encode())

    def clear_refusals(self, asker: str) -> bool:
        """Forget somebody's refusals; whether there were any."""
        with self.vault.writing() as box:
            found = n_refusals(box, asker) > 0
            box.drop("refusals", box.tag("asker", asker))
        return found


def n_refusals(box: Box, asker: str) -> int:
    """How often the ledger refused somebody."""
    raw = box.get("refusals", box.tag("asker", asker))
    return 0 if raw is None else int(json.loads(raw)["refusals"])


def _same_or_refused(box: Box, kind: str, tag: bytes, value: str, rule: str, remedy: str) -> None:
    """Note a value under a tag, where the same is noted or none."""
    held = box.get(kind, tag)
    if held is None:
        box.put(kind, tag, value.encode())
    elif held != value.encode():
        raise Refused(rule, remedy)


def _packed(mean: float) -> bytes:
    return struct.pack("<d", mean)
