"""Tables of an experiment: accuracy in the layout of the paper, beside published figures, settings and times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastautorec.evaluation._compare import SIGNIFICANCE, Comparison, compare, holm
from fastautorec.evaluation._report import Report
from fastautorec.evaluation._tables import percent
from fastautorec.experiments._config import Published
from fastautorec.experiments._runner import Outcome, Row

BEST, TIED = "*", "°"
NONE = "–"
FITTED = {
    "all": "on train and validation data",
    "refit": "on train data with validation data to choose and to stop, then on both with what was chosen",
    "stop": "on train data with validation data to choose and to stop",
}


@dataclass(frozen=True)
class Cell:
    """A figure with its 95 % half-width, its rank (1 the best, 2 the second, else 0) and its mark."""

    mean: float
    half_width: float
    rank: int = 0
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table of cells, some of them plain texts.

    Attributes
    ----------
    head : tuple of str
    body : tuple of rows
        A row has one cell for each column, the first one its label.
    groups : tuple of str
        Group of each row; a group that is not empty gets a heading where it begins.
    note : str
        What stands below.
    """

    head: tuple[str, ...]
    body: tuple[tuple[Cell | str, ...], ...]
    groups: tuple[str, ...] = ()
    note: str = ""

    def heading(self, place: int) -> str:
        """Return the heading that belongs above a row, if any."""
        if not self.groups or (place and self.groups[place] == self.groups[place - 1]):
            return ""
        return self.groups[place]


# --- what they hold --------------------------------------------------------------------------------------------------


def accuracy(outcome: Outcome, metrics: Sequence[str]) -> Table:
    """Return means with half-widths, the best and the second of each column, and what is significant.

    For each metric the best model is compared with every other one by the paired t-test of `compare`; Holm's
    correction counts all tests of the table.
    """
    reports = outcome.reports
    order = {metric: sorted(reports, key=lambda name: -reports[name][metric].mean) for metric in metrics}
    adjusted = _adjusted(reports, {metric: names[0] for metric, names in order.items()})
    body: list[tuple[Cell | str, ...]] = [
        (name, *(_cell(reports[name], name, metric, order[metric], adjusted) for metric in metrics)) for name in reports
    ]
    groups = tuple(row.entry.group for row in outcome.rows)
    several = " Models with several seeds: mean of the seeds, user by user." if _several_seeds(outcome) else ""
    tests = (
        f" {BEST} better than the best other model, {TIED} not distinguishable from the best one (paired t-tests over "
        f"users, {len(adjusted):,} in this table, p < {SIGNIFICANCE} after Holm's correction)."
        if adjusted
        else ""
    )
    notes = dict.fromkeys(note for row in outcome.rows for run in row.runs.values() for note in run.values["notes"])
    remarks = "".join(f" Note: {note}." for note in notes)
    note = (
        f"Mean ± half-width of the 95 % interval over users; bold: best, underlined: second.{tests}{several}{remarks}"
    )
    return Table(("model", *metrics), tuple(body), groups, note)


def published(outcome: Outcome, figures: Published) -> Table:
    """Return our figures, the published ones, and their differences."""
    metrics = tuple(next(iter(figures.rows.values())))
    body: list[tuple[Cell | str, ...]] = []
    groups = []
    reports = outcome.reports
    for name, theirs in figures.rows.items():
        ours = [row.entry.name for row in outcome.rows if (row.entry.published or row.entry.name) == name]
        there = tuple(Cell(*theirs[metric]) for metric in metrics)
        body.append(("published", *there))
        groups.append(name)
        for model in ours:
            here = tuple(Cell(reports[model][metric].mean, reports[model][metric].half_width) for metric in metrics)
            label = "ours" if model == name else f"ours: {model}"
            body += [(label, *here), ("difference", *(_difference(a, b) for a, b in zip(here, there, strict=True)))]
            groups += [name, name]
    note = f"Published: {figures.source}. A difference is marked {BEST} where the two 95 % intervals do not meet."
    return Table(("", *metrics), tuple(body), tuple(groups), note)


def settings(outcome: Outcome) -> Table:
    """Return what was fitted, how it was chosen, and NDCG by seed."""
    body = []
    for row in outcome.rows:
        first = next(iter(row.runs.values()))
        metric = first.values["validation_metric"]
        seeds = ", ".join(f"{_ndcg(row, seed):.4f}" for seed in row.runs)
        validated = NONE if metric is None else f"{metric:.4f}"
        body.append((row.entry.name, first.values["model"], row.entry.fit, validated, seeds))
    head = ("model", "fitted (first seed)", "fit", "best on validation", "test NDCG by seed")
    used = dict.fromkeys(row.entry.fit for row in outcome.rows)
    return Table(head, tuple(body), (), f"Fitted: {'; '.join(f'{fit}: {FITTED[fit]}' for fit in used)}.")


def times(outcome: Outcome) -> Table:
    """Return seconds for each model: mean of its seeds, and its share of all."""
    totals = [_seconds(row, "choose") + _seconds(row, "fit") + _seconds(row, "evaluate") for row in outcome.rows]
    whole = sum(totals)
    body = []
    for row, total in zip(outcome.rows, totals, strict=True):
        means = (f"{_seconds(row, what) / len(row.runs):,.2f}" for what in ("choose", "fit", "evaluate"))
        body.append((row.entry.name, *means, str(len(row.runs)), f"{total:,.1f}", percent(total / whole)))
    groups = [row.entry.group for row in outcome.rows]
    shares = [
        f"{group} {percent(sum(t for t, g in zip(totals, groups, strict=True) if g == group) / whole)}"
        for group in dict.fromkeys(groups)
        if group
    ]
    head = ("model", "choosing, s", "fit, s", "evaluation, s", "seeds", "all seeds, s", "share")
    note = f"Seconds for one seed, mean of the seeds; {whole:,.1f} s in all. {'; '.join(shares)}"
    return Table(head, tuple(body), (), note.strip())


# --- how they look ---------------------------------------------------------------------------------------------------


def markdown(table: Table) -> str:
    """Return the table in Markdown."""
    lines = [_pipes(map(escape_markdown, table.head)), _pipes(["---", *["--:"] * (len(table.head) - 1)])]
    for place, row in enumerate(table.body):
        if heading := table.heading(place):
            lines.append(_pipes([f"*{escape_markdown(heading)}*", *[""] * (len(row) - 1)]))
        lines.append(_pipes(escape_markdown(cell) if isinstance(cell, str) else _markdown_cell(cell) for cell in row))
    note = escape_markdown(table.note)
    return "\n".join(lines) + (f"\n\n{note}" if note else "") + "\n"


def latex(table: Table, caption: str) -> str:
    """Return the table in LaTeX; it wants the package booktabs."""
    columns = "l" + "r" * (len(table.head) - 1)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table*}",
        f"\\caption{{{_escape_latex(caption)}}}",
        "\\centering\\scriptsize",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        _ampersands(map(_escape_latex, table.head)),
        "\\midrule",
    ]
    for place, row in enumerate(table.body):
        if heading := table.heading(place):
            rule = ["\\midrule"] if place else []
            lines += [*rule, f"\\multicolumn{{{len(row)}}}{{l}}{{\\textit{{{_escape_latex(heading)}}}}} \\\\"]
        lines.append(_ampersands(_escape_latex(cell) if isinstance(cell, str) else _latex_cell(cell) for cell in row))
    lines += ["\\bottomrule", "\\end{tabular}"]
    if table.note:
        lines += ["", "\\smallskip", _escape_latex(table.note)]
    return "\n".join([*lines, "\\end{table*}"]) + "\n"


def figures(cell: Cell) -> tuple[str, str]:
    """Return the texts of mean and half-width."""
    return f"{cell.mean:.4f}", f"{cell.half_width:.4f}"


# --- parts -----------------------------------------------------------------------------------------------------------


def _adjusted(reports: Mapping[str, Report], best: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """Return Holm's adjusted p-values of the best model of each metric against every other model."""
    comparisons: dict[tuple[str, str], Comparison] = {}
    raw = {}
    for metric, winner in best.items():
        for other in reports:
            if other != winner:
                if (winner, other) not in comparisons:
                    comparisons[winner, other] = compare(reports[winner], reports[other])
                raw[metric, other] = comparisons[winner, other][metric].p_value
    p_values = np.nan_to_num(np.array(list(raw.values()), np.float64), nan=1.0)
    return dict(zip(raw, holm(p_values).tolist(), strict=True))


def _cell(
    report: Report, name: str, metric: str, order: Sequence[str], adjusted: Mapping[tuple[str, str], float]
) -> Cell:
    rank = {place: place for place in (1, 2)}.get(order.index(name) + 1, 0)
    mark = ""
    if rank == 1 and len(order) > 1 and adjusted[metric, order[1]] < SIGNIFICANCE:
        mark = BEST
    elif rank != 1 and adjusted[metric, name] >= SIGNIFICANCE:
        mark = TIED
    return Cell(report[metric].mean, report[metric].half_width, rank, mark)


def _difference(here: Cell, there: Cell) -> str:
    apart = abs(here.mean - there.mean) > here.half_width + there.half_width
    difference = round(here.mean - there.mean, 4) + 0.0  # no minus sign before nothing but zeros
    return f"{difference:+.4f}{BEST if apart else ''}"


def _ndcg(row: Row, seed: int) -> float:
    stored = row.runs[seed]
    return float(stored.arrays["metrics"][:, stored.values["names"].index("NDCG")].mean())


def _seconds(row: Row, what: str) -> float:
    return float(sum(stored.values[f"{what}_seconds"] for stored in row.runs.values()))


def _several_seeds(outcome: Outcome) -> bool:
    return any(len(row.runs) > 1 for row in outcome.rows)


def _markdown_cell(cell: Cell) -> str:
    mean, half = figures(cell)
    shown = {1: f"**{mean}**", 2: f"<u>{mean}</u>"}.get(cell.rank, mean)
    return f"{shown} ± {half}{escape_markdown(cell.mark)}"


def _latex_cell(cell: Cell) -> str:
    mean, half = figures(cell)
    shown = {1: f"\\textbf{{{mean}}}", 2: f"\\underline{{{mean}}}"}.get(cell.rank, mean)
    mark = {BEST: "$^{*}$", TIED: "$^{\\circ}$"}.get(cell.mark, "")
    return f"{shown}$\\pm${half}{mark}"


def _pipes(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _ampersands(cells: Iterable[str]) -> str:
    return " & ".join(cells) + " \\\\"


def escape_markdown(text: str) -> str:
    """Return a text of one line that Markdown shows as it is: names may hold anything."""
    text = re.sub(r"[\\\\`*<]|&(?=#?\w+;)|\](?=\()|^#", r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # within a word it marks nothing


_LATEX: Mapping[str, str] = {
    "\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_", "{": "\\{", "}": "\\}",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "°": "$^{\\circ}$", "–": "--",
}  # fmt: skip


def _escape_latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
