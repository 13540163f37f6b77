"""The page of measured attacks has a row for every attack of the tests, and no other."""

from __future__ import annotations

from tests.attacks.table import HEAD, PAGE, found, recorded


def test_page__names_every_attack_once_in_order() -> None:
    assert list(recorded()) == list(found())


def test_page__says_what_the_attacks_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.startswith(HEAD)
    for attack in found().values():
        assert f"| {attack.name} | {attack.learned} | {attack.measure} |" in text
        assert f" | {attack.stopped_by} |\n" in text
