"""A run directory on its way: what is finished, and how far the question at hand is."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eucan_dask.errors import Invalid
from eucan_dask.partial import Finding
from eucan_dask.result import SiteOutcome
from eucan_dask.standing import Standing

__all__ = ["Unfinished", "write_json"]

NAME = "finished.json"
OURS = (".tsv", ".tsv.gz", "-meta.yaml", ".vcf.gz", ".tbi", ".csi", ".tmp")
ELSEWHERE = "choose another directory"


@dataclass
class Unfinished:
    """`finished.json`: replaced whole after every step, so that a killed run can go on.

    Parameters
    ----------
    out, job
        The directory, and a digest of the job and the sites' freezes.
    entries
        Finished questions, by identifier.
    asking
        The question at hand: its `id` and `run`, so that it is not asked twice under two names;
        of a scan also `blocks` finished, `sizes` of its tables, `n_variants` and `outcomes`; of
        masked sums `opened`, the sites they were opened for.
    """

    out: Path
    job: str
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    asking: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, out: Path, job: str, *, resume: bool) -> Unfinished:
        """The state of `out`; a directory that holds anything else is refused."""
        if out.exists() and not out.is_dir():
            raise Invalid("is no directory", where=out, remedy=ELSEWHERE)
        if (out / "provenance.json").exists():
            raise Invalid("holds a finished run", where=out, remedy=ELSEWHERE)
        path = out / NAME
        if not path.exists():
            if out.exists() and any(not _ours(p.name) for p in out.iterdir()):
                raise Invalid("holds other files", where=out, remedy=ELSEWHERE)
            out.mkdir(parents=True, exist_ok=True)
            return cls(out, job)
        if not resume:
            raise Invalid(
                "holds an unfinished run", where=out, remedy="add --resume to go on with it"
            )
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            former, asking = found["job"], dict(found["asking"])
            entries = {entry["id"]: entry for entry in found["analyses"]}
        except (ValueError, KeyError, TypeError) as error:
            raise Invalid("is damaged", where=path, remedy=ELSEWHERE) from error
        if former != job:
            raise Invalid("holds a run of another job", where=out, remedy=ELSEWHERE)
        return cls(out, job, entries, asking)

    def start(self, identifier: str) -> str:
        """The run of a question: the former one where it was being asked already."""
        if self.asking.get("id") != identifier:
            self.asking = {"id": identifier, "blocks": 0}
        if "run" not in self.asking:
            self.asking["run"] = secrets.token_hex(8)
            self._write()
        return str(self.asking["run"])

    def refused(self) -> None:
        """Ask under another name the next time: a site would only repeat what it said."""
        self.asking.pop("run", None)
        self._write()

    def step(self, outcomes: Sequence[SiteOutcome], **reached: Any) -> None:
        """Remember that another block is on disk."""
        told = [dataclasses.asdict(outcome) for outcome in outcomes]
        self.asking |= {**reached, "outcomes": told}
        self._write()

    def standing(self) -> Standing:
        """The roster of the question at hand whose masked sums were opened, once there is one."""
        return Standing(tuple(self.asking.get("opened", ())), self._opens)

    def _opens(self, sites: tuple[str, ...]) -> None:
        self.asking["opened"] = list(sites)
        self._write()

    def outcomes(self) -> list[SiteOutcome]:
        """Of the blocks so far, added up."""
        return [
            SiteOutcome(**{**told, "findings": tuple(Finding(**f) for f in told["findings"])})
            for told in self.asking.get("outcomes", ())
        ]

    def finish(self, entry: Mapping[str, Any]) -> None:
        """Remember that a question is finished."""
        self.entries[entry["id"]] = dict(entry)
        self.asking = {}
        self._write()

    def remove(self) -> None:
        """The run is finished: nothing is left to remember."""
        (self.out / NAME).unlink(missing_ok=True)

    def _write(self) -> None:
        entries = list(self.entries.values())
        write_json(self.out / NAME, {"job": self.job, "analyses": entries, "asking": self.asking})


def _ours(name: str) -> bool:
    """Whether a file can be what a killed run left before its first question was finished."""
    return name == "result.zarr" or name.endswith(OURS)


def write_json(path: Path, table: Mapping[str, Any]) -> None:
    """Written beside and renamed into place."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(table, indent=2, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, path)
