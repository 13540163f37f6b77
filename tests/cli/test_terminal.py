"""Tables on a terminal and in a file: nothing is cut off."""

from __future__ import annotations

import pandas as pd
import pytest

from eucan_dask.cli.terminal import show

FRAME = pd.DataFrame(
    {
        "at": ["2026-11-24T00:43:35+00:00"],
        "run": ["e715455441f5bcc9"],
        "criteria": ["a long list of criteria, " * 8],
        "n": [37],
        "suppressed": [False],
    }
)


def test_show__a_pipe_gets_whole_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show("answers", FRAME)
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "37" in line]
    for value in FRAME.iloc[0, :3]:
        assert str(value).strip() in row


def test_show__a_narrow_terminal_folds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    show("answers", FRAME)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    cells = [line.strip("│").split("│") for line in lines if line.startswith("│")]
    columns = ["".join(part.strip() for part in column) for column in zip(*cells, strict=True)]
    assert columns[0] == FRAME["at"][0]
    assert columns[1] == FRAME["run"][0]
    assert "…" not in "".join(lines)
