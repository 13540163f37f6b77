"""How a request reaches a site and its release comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from eucan_dask.errors import Invalid, unknown

__all__ = ["Link", "open_link"]

LATER = ("mailbox", "https")


class Link(Protocol):
    """What the coordinator needs of a site: bytes in, bytes out."""

    def hello(self) -> dict[str, Any]:
        """Catalogue and versions."""

    def send(self, raw: bytes) -> bytes:
        """The signed release for an encoded request."""

    def close(self) -> None:
        """Let the site go."""


def open_link(text: str, *, base: Path) -> Link:
    """The link that `in_process:SITE_DIR` describes, relative to `base`.

    Raises
    ------
    Invalid
        For an unknown kind of link.
    """
    kind, _, rest = text.partition(":")
    if kind in LATER:
        raise Invalid(f"link {kind!r} is not offered yet", where=text, expected="in_process:DIR")
    if kind != "in_process" or not rest:
        raise unknown("link", kind, ("in_process",), where=text)
    from eucan_dask.links.in_process import InProcess

    return InProcess(base / rest)
