"""What missing dosages are taken for: a mean that comes from outside, so it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Refused
from eucan_dask.partial import Partial
from eucan_dask.policy import Policy
from eucan_dask.request import Request

__all__ = ["Means"]


@dataclass(frozen=True)
class Means:
    """The means of the variants that some of the people, but few, have no call of.

    Sums at two means, subtracted, hold the traits and terms of the people without a call; where
    these are one, that person's.

    Parameters
    ----------
    few
        Their means, by variant.
    rows
        Which of the request's variants they are.
    n_variants
        How many it has.
    """

    few: Mapping[str, float]
    rows: NDArray[np.int64]
    n_variants: int

    @classmethod
    def of(cls, request: Request, partial: Partial, policy: Policy) -> Means | None:
        """Those of a request; None where nothing is imputed yet, or the data are public.

        Raises
        ------
        Refused
            If a mean is no mean of dosages: a large one would leave nobody else in the sums.
        """
        state = request.state()
        if not request.analysis.imputes or state is None:
            return None
        mean = np.asarray(state["variant_mean"], dtype=np.float64)
        asked = ~np.isnan(mean)
        if (mean[asked] < 0).any() or (mean[asked] > 2).any():
            raise Refused("history", "start the fit again")
        if policy.public:
            return None
        n = int(partial.dataset["n_individuals"])
        missing = n - partial.dataset["variant_n_called"].values
        few = asked & (missing > 0) & (missing < policy.thresholds.min_cell)
        rows = np.flatnonzero(few)
        labels = request.panel.variants
        return cls({labels[row]: float(mean[row]) for row in rows}, rows, len(labels))

    def among(self, moved: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those of all variants (variants,) that `moved` says of these."""
        out = np.zeros(self.n_variants, dtype=bool)
        out[self.rows] = moved
        return out
