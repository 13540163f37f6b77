"""The target is a program for the fuzzer: pytest does not import it to look for doctests."""

from __future__ import annotations

collect_ignore = ["wire_target.py"]
