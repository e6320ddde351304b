"""The report as one HTML file: no script, no link to anything outside, figures embedded."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from fastautorec.experiments._tables import Cell, Table, figures

STYLE = """
:root { color-scheme: light dark; --line: #d0d4da; --soft: #667; --band: #f4f6f8; --ink: #1b1f24; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a4048; --soft: #9aa4b0; --band: #20252b; --ink: #e6e9ed; --page: #15181c; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 84rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { margin-top: 1.8rem; }
nav a { margin-right: 1.2rem; }
a { color: inherit; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { background: var(--band); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
tr.group td { font-style: italic; background: var(--band); text-align: left; }
table.texts td, table.texts th { text-align: left; white-space: normal; vertical-align: top; }
.half, .note { color: var(--soft); }
.half { font-size: .85em; }
.mark { display: inline-block; width: .6em; text-align: left; }
.note { font-size: .9rem; max-width: 60rem; }
.failed { border-left: .3rem solid #c0392b; padding-left: 1rem; }
figure { margin: 1.5rem 0; }
figure img { max-width: 100%; height: auto; background: #fff; }
figcaption { color: var(--soft); font-size: .9rem; }
pre { overflow-x: auto; background: var(--band); padding: .8rem; font-size: .85rem; }
"""


@dataclass(frozen=True)
class Section:
    """A heading, with what stands below it as HTML."""

    title: str
    body: str


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Return the whole file."""
    links = "".join(f'<a href="#s{place}">{escape(s.title)}</a>' for place, s in enumerate(sections))
    blocks = "".join(
        f'<section id="s{place}"><h2>{escape(s.title)}</h2>{s.body}</section>\n' for place, s in enumerate(sections)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n"
        f"{paragraph(lead)}<nav>{links}</nav>\n{blocks}</body></html>\n"
    )


def table(content: Table, texts: bool = False) -> str:
    """Return a table with its note; one of ``texts`` may break its lines."""
    lines = [f'<div class="scroll"><table{" class=texts" if texts else ""}>', _row("th", map(escape, content.head))]
    for place, row in enumerate(content.body):
        if heading := content.heading(place):
            lines.append(f'<tr class="group"><td colspan="{len(row)}">{escape(heading)}</td></tr>')
        lines.append(_row("td", (escape(cell) if isinstance(cell, str) else _cell(cell) for cell in row)))
    return "\n".join([*lines, "</table></div>"]) + paragraph(content.note, "note") + "\n"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph, or nothing for an empty text."""
    return f"<p{f' class={kind}' if kind else ''}>{escape(text)}</p>" if text else ""


def heading(text: str) -> str:
    """Return a heading within a section."""
    return f"<h3>{escape(text)}</h3>"


def preformatted(text: str) -> str:
    """Return a text as it is."""
    return f"<pre>{escape(text)}</pre>"


def folded(title: str, text: str) -> str:
    """Return a text that opens at a click."""
    return f"<details><summary>{escape(title)}</summary>{preformatted(text)}</details>"


def failure(title: str, error: str, trace: str) -> str:
    """Return a run that raised an error."""
    return f'<div class="failed"><p><b>{escape(title)}</b></p>{paragraph(error)}{folded("trace", trace)}</div>'


def figure(svg: bytes, caption: str) -> str:
    """Return a picture, embedded."""
    data = base64.b64encode(svg).decode("ascii")
    words = escape(caption, quote=True)
    return (
        f'<figure><img alt="{words}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>\n"
    )


def _cell(cell: Cell) -> str:
    mean, half = figures(cell)
    shown = {1: f"<b>{mean}</b>", 2: f"<u>{mean}</u>"}.get(cell.rank, mean)
    return f'{shown} <span class="half">± {half}</span><span class="mark">{escape(cell.mark)}</span>'


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"
