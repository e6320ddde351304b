"""Cells and tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def table(head: Iterable[object], body: Iterable[Iterable[object]], *, numbers: bool = True) -> str:
    """Return a Markdown table, all columns but the first right-aligned where they hold numbers."""
    head = list(head)
    rule = ["---", *(["--:" if numbers else "---"] * (len(head) - 1))]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in (head, rule, *body))


def duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-4 else f"{seconds * 1e6:.3g} µs"


def times(factor: float) -> str:
    """Return a ratio: 12×, or 1.2× where it is small."""
    return f"{factor:,.0f}×" if factor >= 100 else f"{factor:.1f}×"


def verdict(met: bool) -> str:
    return "met" if met else "**not met**"


def replace(file: Path, block: str, markers: tuple[str, str]) -> None:
    """Put ``block`` between the two marker lines of a file."""
    text, (begin, end) = file.read_text(encoding="utf-8"), markers
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{file} must hold each marker once: {begin} and {end}")
    before, after = text[: text.index(begin)], text[text.index(end) :]
    file.write_text(f"{before}{begin}\n\n{block.strip()}\n\n{after}", encoding="utf-8")
