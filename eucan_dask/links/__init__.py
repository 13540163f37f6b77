"""How a request reaches a site and its release comes back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eucan_dask.errors import Invalid, unknown

__all__ = ["DEADLINE_MINUTES", "Link", "open_link"]

DEADLINE_MINUTES = 1440.0  # a day: cron, a weekend shift, a reboot
LATER = ("https",)


class Link(Protocol):
    """What the coordinator needs of a site: bytes in, bytes out. To be inherited.

    Attributes
    ----------
    since
        Since when the site is awaited; None while it is not, or answers at once.
    prompt
        Whether answers come at once, so that asking ahead gains nothing.
    patient
        Set to False, `hello` and `send` wait no longer and end with `Unavailable`.
    """

    since: datetime | None = None
    prompt: bool = False
    patient: bool = True

    def hello(self) -> dict[str, Any]:
        """Catalogue and versions."""
        ...

    def send(self, raw: bytes) -> bytes:
        """The signed release for an encoded request."""
        ...

    def lies(self, raw: bytes) -> str:  # noqa: ARG002
        """Where the answer to a request lies, for a message; empty if nowhere."""
        return ""

    def withdraw(self, raw: bytes) -> None:  # noqa: B027, ARG002
        """Take a request back: every site has answered it, or is no longer awaited."""
        return

    def done(self, run: str) -> None:  # noqa: B027, ARG002
        """Remove what is left of a run: its answers were used."""
        return

    def close(self) -> None:
        """Let the site go."""
        return


def open_link(
    text: str, *, base: Path, site: str, key: Ed25519PublicKey, minutes: float = DEADLINE_MINUTES
) -> Link:
    """The link that `in_process:SITE_DIR` or `mailbox:DIR` describes, relative to `base`.

    Parameters
    ----------
    site, key
        Whose answers are expected, and the key they are signed with.
    minutes
        How long the site is awaited for its hello and in every round.

    Raises
    ------
    Invalid
        For an unknown kind of link.
    """
    kind, _, rest = text.partition(":")
    if kind in LATER:
        raise Invalid(
            f"link {kind!r} is not offered yet", where=text, expected="in_process:DIR, mailbox:DIR"
        )
    if kind not in ("in_process", "mailbox") or not rest:
        raise unknown("link", kind, ("in_process", "mailbox"), where=text)
    if kind == "mailbox":
        from eucan_dask.links.mailbox import Mailbox

        return Mailbox((base / rest).resolve(), site=site, key=key, minutes=minutes)
    from eucan_dask.links.in_process import InProcess

    return InProcess(base / rest)
