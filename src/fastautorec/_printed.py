"""Results that print as lines of text and show as plain HTML in notebooks, from the same words and tables."""

from __future__ import annotations

import html
from abc import abstractmethod
from collections.abc import Iterable, Sequence

Rows = Sequence[Sequence[str]]


class Printed:
    """What is said in paragraphs and tables; the first row of a table is its heading."""

    @abstractmethod
    def _parts(self) -> Iterable[str | Rows]:
        """Return texts of one line, and tables as rows of cells, from top to bottom."""

    def __str__(self) -> str:
        parts = ([part] if isinstance(part, str) else table_lines(part) for part in self._parts())
        return "\n".join(line for lines in parts for line in lines)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return "".join(html_text(part) if isinstance(part, str) else html_table(part) for part in self._parts())


def table_lines(rows: Rows) -> list[str]:
    """Return the cells as aligned lines: first column to the left, the others to the right."""
    n_columns = max(map(len, rows))
    full = [[*row, *[""] * (n_columns - len(row))] for row in rows]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = []
    for row in full:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def html_text(text: str) -> str:
    """Return a paragraph, nothing for no text."""
    return f"<p>{html.escape(text)}</p>" if text else ""


def html_table(rows: Rows, heading: bool = True) -> str:
    """Return a small table without style, but that the first column stands to the left.

    >>> html_table([["", "a"], ["<b>", "1"]])
    '<table><tr><th></th><th>a</th></tr><tr><td style="text-align: left">&lt;b&gt;</td><td>1</td></tr></table>'
    """
    width, lines = max(map(len, rows)), []
    for number, row in enumerate(rows):
        tag = "th" if heading and number == 0 else "td"
        cells = [html.escape(cell.strip()) for cell in (*row, *[""] * (width - len(row)))]
        first = f'<td style="text-align: left">{cells[0]}</td>' if tag == "td" else f"<th>{cells[0]}</th>"
        lines.append(f"<tr>{first}{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells[1:])}</tr>")
    return f"<table>{''.join(lines)}</table>"
