"""The sites a new federation file names: by their directory, or by their hello in a mailbox."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eucan_dask import config
from eucan_dask.errors import Invalid
from eucan_dask.hello import MAX_HELLO, decode_hello
from eucan_dask.keys import public_pem, read_public
from eucan_dask.mailbox import OUT, shown, take, token_of

__all__ = ["Found", "find_sites"]


@dataclass(frozen=True)
class Found:
    """A site that was found.

    Parameters
    ----------
    link
        The kind of link and the directory behind it.
    public
        Whether its policy is the public one.
    key
        The public key of a site behind a mailbox.
    key_file
        Where the key lies already, if the site is on this machine.
    """

    name: str
    link: tuple[str, Path]
    public: bool
    key: Ed25519PublicKey | None = None
    key_file: Path | None = None

    def row(self, file: Path) -> str:
        """Its entry in a federation file; paths are relative to it."""
        kind, directory = self.link
        return (
            f"[[sites]]\nname = {json.dumps(self.name)}\n"
            f"link = {json.dumps(f'{kind}:{_from(file, directory)}')}\n"
            f"public_key_file = {json.dumps(_from(file, self._key_file(file)))}\n"
        )

    def keep_key(self, file: Path) -> None:
        """Write a key that came with a hello beside the federation file.

        Raises
        ------
        Invalid
            If another key of this site lies there.
        """
        if self.key is None:
            return
        path = self._key_file(file)
        if path.exists() and read_public(path) != self.key:
            raise Invalid(
                "another key of this site lies there",
                where=path,
                remedy="ask the site, by another channel, which is its own; remove a wrong one",
            )
        path.write_bytes(public_pem(self.key))

    @property
    def directory(self) -> Path | None:
        """Where it lies, if it is on this machine."""
        kind, directory = self.link
        return directory if kind == "in_process" else None

    def _key_file(self, file: Path) -> Path:
        return self.key_file or file.parent / f"{token_of(self.name)}.pub"


def find_sites(text: str) -> list[Found]:
    """The site in a directory, or every site that says hello in `mailbox:DIR`.

    Raises
    ------
    Invalid
        If there is no site, or a hello is damaged.
    """
    kind, _, rest = text.partition(":")
    return _in_mailbox(Path(rest)) if kind == "mailbox" else [_on_this_machine(text)]


def _on_this_machine(text: str) -> Found:
    directory = Path(text.removeprefix("in_process:"))
    table = config.read(directory / "site.toml")
    public = bool(config.read(directory / table["policy"])["public"])
    key = directory / table["keys"]["public"]
    return Found(table["name"], ("in_process", directory), public, key_file=key)


def _in_mailbox(directory: Path) -> list[Found]:
    try:
        paths = sorted(p for p in (directory / OUT).iterdir() if p.suffix == ".hello")
    except OSError as error:
        raise Invalid("is no mailbox", where=directory, found=error.strerror) from error
    found = []
    for path in paths:
        raw = take(path, max_bytes=MAX_HELLO)
        hello = decode_hello(raw, where=str(path)) if raw is not None else None
        if hello is None:
            raise Invalid("is no whole hello", where=path, remedy="run `site pass` there again")
        if path.stem != token_of(hello.site):
            raise Invalid("is the hello of another site", where=path, found=shown(hello.site))
        public = bool(hello.told.get("public_policy"))
        found.append(Found(hello.site, ("mailbox", directory), public, key=hello.key))
    if not found:
        raise Invalid(
            "no site has said hello there", where=directory, remedy="run `site pass` at the site"
        )
    return found


def _from(file: Path, path: Path) -> str:
    return os.path.relpath(path.resolve(), file.parent.resolve())
