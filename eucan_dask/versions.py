"""Which code and packages ran: what two sites compare before they add up."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from importlib.metadata import entry_points, version
from pathlib import Path

__all__ = ["code_digest", "package_versions"]

PLUGINS = "eucan_dask.analyses"
PACKAGES = (
    "eucan-dask",
    "sgkit",
    "dask",
    "distributed",
    "xarray",
    "zarr",
    "numpy",
    "pandas",
    "scipy",
)


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 over our source and the modules of installed plug-ins: equal code, equal digests."""
    root = Path(__file__).parent
    state = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".toml"):
            state.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    for point in sorted(entry_points(group=PLUGINS), key=lambda point: point.name):
        found = importlib.util.find_spec(point.module)
        if found is not None and found.origin is not None:
            state.update(point.value.encode() + b"\0" + Path(found.origin).read_bytes())
    return state.hexdigest()


def package_versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on."""
    return {name: version(name) for name in PACKAGES}
