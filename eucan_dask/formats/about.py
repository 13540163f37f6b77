"""What a format's header says of the run: checked keys, and writing beside and renaming."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from eucan_dask.config import Key, check

__all__ = ["About", "beside", "put", "read_about", "slugs", "software", "whole"]

_KEYS = {
    "assembly": Key(str),
    "data_class": Key(str, choices=("public", "synthetic", "personal")),
    "job": Key(str),
    "cohorts": Key(list | tuple, default=()),
    "n": Key(int | None, default=None),
}


@dataclass(frozen=True)
class About:
    """The run a file comes from; `n` people took part, if that is one number."""

    assembly: str
    data_class: str
    job: str
    cohorts: tuple[str, ...]
    n: int | None

    @property
    def note(self) -> str:
        """One sentence on where the numbers come from."""
        made = {"synthetic": " of made-up data", "public": " of public data"}
        among = f" in {', '.join(self.cohorts)}" if self.cohorts else ""
        return f"Federated analysis{made.get(self.data_class, '')}: job {self.job}{among}."


def read_about(about: Mapping[str, object]) -> About:
    """The checked facts of a run.

    Raises
    ------
    Invalid
        If a key is missing, unknown or of the wrong type.
    """
    values = check(about, _KEYS, where="about")
    values["cohorts"] = tuple(map(str, values["cohorts"]))
    return About(**values)


def software() -> str:
    """Name and version of the program."""
    return f"eucan-dask {version('eucan-dask')}"


def slugs(labels: Iterable[str], *, gap: str) -> dict[str, str]:
    """A short distinct name of letters, digits and `gap` for each label."""
    names: dict[str, str] = {}
    for label in labels:
        bare = re.sub(r"[^0-9A-Za-z]+", gap, label).strip(gap)[:40] or "x"
        name, number = bare, 1
        while name.casefold() in {taken.casefold() for taken in names.values()}:
            number += 1
            name = f"{bare}{gap}{number}"
        names[label] = name
    return names


def beside(path: Path) -> Path:
    """The temporary file of a path."""
    return path.with_name(f".{path.name}.tmp")


def put(*paths: Path) -> None:
    """Rename each finished temporary file into its place."""
    for path in paths:
        os.replace(beside(path), path)


def whole(cell: str) -> str:
    """A count as a whole number: a run over many blocks writes it as a float."""
    return cell.removesuffix(".0")
