"""Sums of linear regressions, one a variant, centred within the site; and their solution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eucan_dask.kernels.genotype import MISSING, tiles

__all__ = ["least_squares", "residual", "variant_sums"]

Float = NDArray[np.float64]


def variant_sums(codes: NDArray[np.uint8], mean: Float, z: Float) -> tuple[Float, Float]:
    """X'x (V,) and x'z (V, K) of centred dosages x, with missing ones at `mean`.

    Parameters
    ----------
    codes
        Copies of ALT (V, N), 3 where missing.
    mean
        What a missing one is taken for (V,); NaN gives zeros: nothing is asked yet.
    z
        Centred covariates and traits (N, K).
    """
    n_variants, n = codes.shape
    square, cross = np.zeros(n_variants), np.zeros((n_variants, z.shape[1]))
    for rows in tiles(n_variants, n):
        tile, fill = codes[rows], mean[rows, np.newaxis]
        missing = tile == MISSING
        x = np.where(missing, fill, tile)
        x -= x.mean(axis=1, keepdims=True) if n else 0.0
        x[missing.all(axis=1) | np.isnan(mean[rows])] = 0.0
        square[rows] = np.einsum("vn,vn->v", x, x)
        cross[rows] = x @ z
    return square, cross


def residual(
    a: Float, xc: Float, cy: Float, xx: Float, xy: Float, yy: Float
) -> tuple[Float, Float, Float, int]:
    """Sums of squares and products after the covariates are taken out, and their rank.

    Parameters
    ----------
    a, xc, cy
        Products of covariates with themselves (P, P), with each variant (V, P), with traits (P, T).
    xx, xy, yy
        Of variants (V,), of variants with traits (V, T), of traits (T,).

    Returns
    -------
    xx, xy, yy likewise, and how many covariates are independent within the sites.
    """
    scale = np.sqrt(np.diag(a))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(a / np.outer(scale, scale))
    kept = values > 1e-10 * max(a.shape[0], 1)
    root = (vectors[:, kept] / np.sqrt(values[kept])) / scale[:, np.newaxis]
    x, y = xc @ root, root.T @ cy
    left = xx - np.einsum("vp,vp->v", x, x)
    left = np.where(left > 1e-10 * xx, left, 0.0)  # no more than rounding: no variation is left
    return left, xy - x @ y, yy - np.einsum("pt,pt->t", y, y), int(kept.sum())


def least_squares(xx: Float, xy: Float, yy: Float, dof: int) -> tuple[Float, Float]:
    """Slope and its standard error (V, T); NaN where a variant does not vary or `dof` < 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.where(xx[:, np.newaxis] > 0, xy / xx[:, np.newaxis], np.nan)
        rss = np.maximum(yy[np.newaxis, :] - beta * xy, 0.0)
        se = np.sqrt(rss / dof / xx[:, np.newaxis]) if dof > 0 else np.full(beta.shape, np.nan)
    return beta, se
