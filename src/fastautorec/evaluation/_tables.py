"""Text of tables: columns, and numbers as they are written everywhere."""

from __future__ import annotations

from fastautorec._printed import table_lines

__all__ = ["interval", "percent", "table_lines"]


def interval(mean: float, half: float, decimals: int = 4) -> str:
    """Return a mean and its half-width as text."""
    return f"{mean:,.{decimals}f} ±{half:,.{decimals}f}"


def percent(share: float, decimals: int = 1) -> str:
    """Return a share as text."""
    return f"{100 * share:.{decimals}f} %"
