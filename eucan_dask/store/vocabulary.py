"""Words and their codes."""

from __future__ import annotations

__all__ = ["Vocabulary"]


class Vocabulary:
    """Distinct words in the order they were first met; the empty word is -1, no word."""

    def __init__(self, words: tuple[str, ...] = ()) -> None:
        self._codes = {word: code for code, word in enumerate(words)}

    @property
    def words(self) -> list[str]:
        """The words by code."""
        return list(self._codes)

    def code(self, word: str) -> int:
        """The code of `word`, a new one if it is new."""
        return self._codes.setdefault(word, len(self._codes)) if word else -1
