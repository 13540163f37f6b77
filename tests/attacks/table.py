"""Write docs/attacks.md from the attacks as measured: `python -m tests.attacks.table`."""

from __future__ import annotations

import importlib
import re
import tempfile
from pathlib import Path

from tests.attack_people import ATTACKS, Attack, Strength

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "attacks.md"
HEAD = """# Attacks, measured

Written by `python -m tests.attacks.table`: change the tests in `tests/attacks`, not this page. Each
row is a test: people are planted, somebody who runs the coordinator asks what he is allowed to ask,
keeps every byte that comes back, and works out what he can. The first number is the strength of the
attack on unprotected answers (the public policy on a synthetic twin, or the sums of a textbook
protocol); the second under the recommended policy on personal data, as strong as we could make it.
Numbers such as A2 are those of the catalogue of attacks that the tests follow.

What is not claimed: answers of the tier `controlled` (a number for every variant of a genome) do
tell whose genome is among them and what trait these people have. They are personal data, and go to
people with a permit. In the tier `registered` the power against one person is held to what its cap
says, not to chance.

| attack | what is learned | measured as | before | after | what stops it |
|---|---|---|---|---|---|
"""


def found() -> dict[str, Attack]:
    """Every attack of the tests, by name."""
    for file in sorted(HERE.glob("test_*.py")):
        importlib.import_module(f"tests.attacks.{file.stem}")
    return dict(sorted(ATTACKS.items(), key=lambda item: _number(item[0])))


def _number(name: str) -> tuple[int, str]:
    """A2 before A10; those without a number last."""
    told = re.match(r"A(\d+)\b", name)
    return (int(told[1]) if told else 1000, name)


def row(attack: Attack, strength: Strength) -> str:
    """One line of the table."""
    numbers = (f"{strength.before:.2f}", f"{strength.after:.2f}")
    cells = (attack.name, attack.learned, attack.measure, *numbers, attack.stopped_by)
    return f"| {' | '.join(cells)} |"


def recorded() -> dict[str, Strength]:
    """The numbers of the page as it stands, by name of the attack."""
    rows = re.findall(r"(?m)^\| (.+) \|$", PAGE.read_text(encoding="utf-8"))
    cells = [line.split(" | ") for line in rows if not line.startswith("attack |")]
    return {c[0]: Strength(float(c[3]), float(c[4])) for c in cells}


def matches(attack: Attack, directory: Path) -> None:
    """Fail where the page tells other numbers of an attack than are measured."""
    strength, told = attack.strength(directory), recorded()[attack.name]
    assert abs(strength.before - told.before) <= attack.tolerance
    assert abs(strength.after - told.after) <= attack.tolerance


def main() -> None:
    """Measure every attack and write the page."""
    lines = []
    with tempfile.TemporaryDirectory() as directory:
        for number, attack in enumerate(found().values()):
            place = Path(directory) / str(number)
            place.mkdir()
            lines.append(row(attack, attack.strength(place)))
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
