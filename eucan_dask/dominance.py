"""How much of a sum its two largest parts hold: whoever is one of the two knows the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["dominant"]

Floats = NDArray[np.float64]


def dominant(*columns: Floats) -> np.int64:
    """Most that two people hold of the sum of any column (N, K), per mille, rounded up.

    Columns with a negative value are left out: parts of their sums may cancel. 0 where nothing is
    summed.
    """
    found = 0.0
    for values in columns:
        if not values.size:
            continue
        kept = values[:, (values >= 0).all(axis=0)]
        total = kept.sum(axis=0)
        largest = np.sort(kept, axis=0)[-2:].sum(axis=0)
        share = np.divide(largest, total, out=np.zeros_like(total), where=total > 0)
        found = max(found, float(share.max(initial=0.0)))
    return np.int64(np.ceil(np.round(1000 * found, 6)))
