"""Text of tables: columns, and numbers as they are written everywhere."""

from __future__ import annotations

from collections.abc import Sequence


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the cells as aligned lines: first column to the left, the others to the right."""
    n_columns = max(map(len, rows))
    full = [[*row, *[""] * (n_columns - len(row))] for row in rows]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = []
    for row in full:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def interval(mean: float, half: float, decimals: int = 4) -> str:
    """Return a mean and its half-width as text."""
    return f"{mean:,.{decimals}f} ±{half:,.{decimals}f}"


def percent(share: float, decimals: int = 1) -> str:
    """Return a share as text."""
    return f"{100 * share:.{decimals}f} %"
