"""A site in this very process: the same bytes as over any other link."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eucan_dask.site import Site

__all__ = ["InProcess"]


class InProcess:
    """The link to a site whose directory is on this machine."""

    def __init__(self, directory: Path | Site) -> None:
        self._site = directory if isinstance(directory, Site) else Site(directory)

    def hello(self) -> dict[str, Any]:
        """Catalogue and versions."""
        return self._site.hello()

    def send(self, raw: bytes) -> bytes:
        """The signed release for an encoded request."""
        return self._site.answer(raw)

    def close(self) -> None:
        """Give the site's cluster back."""
        self._site.close()
