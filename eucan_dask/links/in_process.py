"""A site in this very process: the same bytes as over any other link."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from eucan_dask.links import Link
from eucan_dask.site import Site

__all__ = ["InProcess"]


class InProcess(Link):
    """The link to a site whose directory is on this machine."""

    prompt = True

    def __init__(self, directory: Path | Site) -> None:
        self._site = directory if isinstance(directory, Site) else Site(directory)
        self._lock = threading.Lock()

    def hello(self) -> dict[str, Any]:
        """Catalogue, versions and, as the site is here, its dashboard."""
        return {**self._site.hello(), "dashboard": self._site.cluster.dashboard}

    def send(self, raw: bytes) -> bytes:
        """The signed release for an encoded request."""
        with self._lock:  # blocks may be asked for side by side
            return self._site.answer(raw)

    def close(self) -> None:
        """Give the site's cluster back."""
        self._site.close()
