"""A data owner's rules: a strict, commented TOML file. It never leaves the site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from eucan_dask import config
from eucan_dask.errors import Invalid

__all__ = ["KINDS", "TIERS", "Policy", "Thresholds", "template"]

FORMAT = 2
TIERS = ("open", "registered", "controlled")
AGGREGATORS = ("none", "trusted", "masked")
KINDS = ("counts", "curve", "model", "variant_counts", "association")
_NUMBER = config.Key(int | float)
_INT = config.Key(int)
_LEAST_PEOPLE = (
    "min_individuals",
    "min_cell",
    "min_carriers",
    "min_non_carriers",
    "min_case_carriers",
    "min_control_carriers",
)


@dataclass(frozen=True)
class Thresholds:
    """Numbers a release must satisfy; every one counts individuals unless it says otherwise.

    Parameters
    ----------
    min_individuals
        Least people in a cohort.
    min_cell
        Least people in a cell of a table and in the rest of its cohort.
    min_carriers, min_non_carriers, min_case_carriers, min_control_carriers
        Least people with and without the alternate allele; for per-variant analyses.
    max_parameter_ratio
        Most parameters of a model per event (or person).
    min_residual_dof
        Least people minus parameters.
    dominance_share
        Most that the two largest may hold of a sum of non-negative values.
    min_cohort_difference
        No released cohorts, added and subtracted, come to rest on fewer people than this.
    round_to
        Counts are rounded to a multiple of this; 1 leaves them exact.
    zeros_disclosive
        Whether a zero cell is hidden like a small one.
    """

    min_individuals: int
    min_cell: int
    min_carriers: int
    min_non_carriers: int
    min_case_carriers: int
    min_control_carriers: int
    max_parameter_ratio: float
    min_residual_dof: int
    dominance_share: float
    min_cohort_difference: int
    round_to: int
    zeros_disclosive: bool

    @classmethod
    def from_toml(cls, table: dict[str, Any], zeros: dict[str, Any], *, where: str) -> Thresholds:
        """Thresholds from the tables `[thresholds]` and `[zeros]`."""
        keys = {
            name: _NUMBER if kind == "float" else _INT
            for name, kind in cls.__annotations__.items()
            if name != "zeros_disclosive"
        }
        values = config.check(table, keys, where=f"{where} [thresholds]")
        for name, value in values.items():
            _check_number(value, f"{where} [thresholds] {name}")
        zero = config.check(zeros, {"disclosive": config.Key(bool)}, where=f"{where} [zeros]")
        if values["round_to"] != 1:
            raise Invalid(
                "rounding is not offered yet", where=f"{where} [thresholds] round_to", expected=1
            )
        return cls(**values, zeros_disclosive=zero["disclosive"])

    def doubled(self) -> Thresholds:
        """With twice the least numbers of people, where somebody may be counted at two sites.

        What asks for one person, or nobody, asks for nothing and stays.
        """
        least = {name: getattr(self, name) for name in _LEAST_PEOPLE}
        return replace(self, **{name: 2 * n if n > 1 else n for name, n in least.items()})


@dataclass(frozen=True, repr=False)
class Policy:
    """What a site allows, and to whom.

    Parameters
    ----------
    thresholds
        See `Thresholds`.
    max_rounds, max_bytes, max_blocks, min_grid_days, max_refusals
        Rounds of one fit; bytes of one answer; blocks of one answer; least width of a time grid;
        refusals by the ledger before an asker gets no new cohort answered.
    max_exposure
        For each tier, most that all answers about variants may say about one person.
    analyses, purposes, tiers, aggregators
        What may be asked, by name; "*" among the analyses allows every one.
    controlled_aggregators
        Who may add up numbers of variants in the tier `controlled`.
    kind_tier
        Least tier for each kind of analysis.
    """

    thresholds: Thresholds
    max_rounds: int
    max_bytes: int
    max_blocks: int
    min_grid_days: float
    max_refusals: int
    max_exposure: Mapping[str, float]
    analyses: tuple[str, ...]
    purposes: tuple[str, ...]
    tiers: tuple[str, ...]
    aggregators: tuple[str, ...]
    controlled_aggregators: tuple[str, ...]
    kind_tier: tuple[tuple[str, str], ...]
    public: bool

    def __repr__(self) -> str:
        return "Policy(...)"

    @classmethod
    def read(cls, path: Path) -> Policy:
        """The policy in a file.

        Raises
        ------
        Invalid
            If a key is missing, unknown or of the wrong type: no threshold has a default.
        """
        where = str(path.name)
        top = config.check(
            config.read(path),
            {
                "format": _INT,
                "public": config.Key(bool),
                **dict.fromkeys(
                    ("thresholds", "zeros", "limits", "exposure", "allow", "tiers"),
                    config.Key(dict),
                ),
            },
            where=where,
        )
        if top["format"] != FORMAT:
            raise Invalid(
                "has another format",
                where=where,
                expected=FORMAT,
                found=top["format"],
                remedy="write a new one with `eucan-dask site init` and copy your numbers over",
            )
        limits, exposure = _limits(top, where)
        allow = config.check(
            top["allow"],
            dict.fromkeys(
                ("analyses", "purposes", "tiers", "aggregators", "controlled_aggregators"),
                config.Key(list),
            ),
            where=f"{where} [allow]",
        )
        _among(allow["tiers"], TIERS, f"{where} [allow] tiers")
        for name in ("aggregators", "controlled_aggregators"):
            _among(allow[name], AGGREGATORS, f"{where} [allow] {name}")
        tiers = _kind_tiers(top, where)
        return cls(
            thresholds=Thresholds.from_toml(top["thresholds"], top["zeros"], where=where),
            **limits,
            max_exposure=exposure,
            analyses=tuple(map(str, allow["analyses"])),
            purposes=tuple(map(str, allow["purposes"])),
            tiers=tuple(map(str, allow["tiers"])),
            aggregators=tuple(map(str, allow["aggregators"])),
            controlled_aggregators=tuple(map(str, allow["controlled_aggregators"])),
            kind_tier=tuple(tiers.items()),
            public=top["public"],
        )


def _limits(top: Mapping[str, Any], where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tables `[limits]` and `[exposure]`."""
    ints = ("max_rounds", "max_bytes", "max_blocks", "max_refusals")
    keys = {**dict.fromkeys(ints, _INT), "min_grid_days": _NUMBER}
    limits = config.check(top["limits"], keys, where=f"{where} [limits]")
    tiers = dict.fromkeys(TIERS, _NUMBER)
    exposure = config.check(top["exposure"], tiers, where=f"{where} [exposure]")
    for name, value in {**limits, **exposure}.items():
        _check_number(value, f"{where} {name}")
    return limits, exposure


def _kind_tiers(top: Mapping[str, Any], where: str) -> dict[str, str]:
    """The table `[tiers]`."""
    keys = dict.fromkeys(KINDS, config.Key(str, choices=TIERS))
    tiers: dict[str, str] = config.check(top["tiers"], keys, where=f"{where} [tiers]")
    if not top["public"] and tiers["association"] != "controlled":
        raise Invalid(
            "an association tells traits of whose genome is known, and no cap stops that",
            where=f"{where} [tiers] association",
            expected="controlled",
            found=tiers["association"],
        )
    return tiers


def _check_number(value: float, where: str) -> None:
    if not isfinite(value) or value < 0:
        raise Invalid("must not be negative", where=where, found=value)


def _among(values: list[Any], allowed: tuple[str, ...], where: str) -> None:
    for value in values:
        config.check({"value": value}, {"value": config.Key(str, choices=allowed)}, where=where)


def template(name: str) -> str:
    """The text of a shipped policy file: "recommended" or "public"."""
    return files("eucan_dask").joinpath("policies", f"{name}.toml").read_text(encoding="utf-8")
