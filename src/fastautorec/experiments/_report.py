"""The files of an experiment: tables, per-user figures, pictures, and the report that holds them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from fastautorec import __version__
from fastautorec._compute import resolve_num_threads
from fastautorec._files import replace_content
from fastautorec.experiments import _drawings as drawings
from fastautorec.experiments import _html as html
from fastautorec.experiments import _tables as tables
from fastautorec.experiments._config import Dataset, paper_metrics
from fastautorec.experiments._files import write_per_user, write_summary
from fastautorec.experiments._html import Section
from fastautorec.experiments._names import stems
from fastautorec.experiments._runner import Outcome, Results
from fastautorec.experiments._tables import Table

REPORT = "report.html"
LIBRARIES = ("numpy", "scipy", "torch", "implicit", "matplotlib", "pyarrow")


def write_report(results: Results, folder: Path) -> Path:
    """Write all files, and return the path of the HTML report."""
    for name in ("tables", "figures"):
        (folder / name).mkdir(exist_ok=True)
    experiment = results.experiment
    replace_content(folder / "experiment.toml", experiment.text)
    write_per_user(results, folder)
    write_summary(results, folder / "summary.csv")
    sections = [Section("Data", _data(results))]
    markdown = [f"# {tables.escape_markdown(experiment.title)}\n", tables.escape_markdown(_lead(results))]
    stem_of = stems([dataset.name for dataset in experiment.datasets])
    for outcome in results.outcomes:
        name = outcome.dataset.name
        sections.append(Section(name, _outcome(results, outcome, folder, stem_of[name], markdown)))
    sections += [
        Section("Failures", _failures(results, markdown)),
        Section("Environment", html.table(environment(), texts=True)),
        Section("Experiment file", html.folded("what was run", experiment.text)),
    ]
    replace_content(folder / "report.md", "\n".join(markdown))
    path = folder / REPORT
    replace_content(path, html.page(experiment.title, _lead(results), sections))
    return path


def environment() -> Table:
    """Return what the figures were made with."""
    rows = [
        ("fastautorec", __version__),
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("processor", _processor()),
        ("threads", f"{resolve_num_threads(None)} of {os.cpu_count()}"),
    ]
    return Table(("", ""), (*rows, *_versions()))


# --- sections --------------------------------------------------------------------------------------------------------


def _lead(results: Results) -> str:
    experiment = results.experiment
    runs = sum(len(row.runs) for outcome in results.outcomes for row in outcome.rows)
    failed = f", {len(results.failures)} failed" if results.failures else ""
    lists = ", ".join(map(str, sorted({k for outcome in results.outcomes for k in outcome.k})))
    facts = (
        f'{runs} runs{failed}. Metrics by the "{experiment.definition}" definition, lists of {lists or tables.NONE}.'
    )
    return f"{' '.join(experiment.note.split())} {facts}".strip()


def _data(results: Results) -> str:
    rows = []
    for outcome in results.outcomes:
        parts = outcome.parts
        m, n = parts.train.shape
        counts = [part.nnz for part in (parts.train, parts.validation, parts.test)]
        evaluated = next((f"{row.report.n_users:,}" for row in outcome.rows), tables.NONE)
        figures = (f"{number:,}" for number in (m, n, *counts))
        density = f"{100 * sum(counts) / (m * n):.3g} %"
        rows.append((outcome.dataset.name, *figures, density, evaluated, _split(outcome.dataset)))
    head = ("", "users", "items", "train", "validation", "test", "density", "users in the test", "split")
    return html.table(Table(head, tuple(rows)))


def _split(dataset: Dataset) -> str:
    if dataset.source == "parts":
        return "as published"
    ratios = " / ".join(f"{100 * ratio:.3g}" for ratio in dataset.ratios)
    return f"{ratios} %, {'by time' if dataset.by == 'time' else f'random, seed {dataset.seed}'}"


def _outcome(results: Results, outcome: Outcome, folder: Path, slug: str, markdown: list[str]) -> str:
    """Write the tables and figures of a data set, to files whose names begin with ``slug``, and return them as HTML."""
    experiment, name = results.experiment, outcome.dataset.name
    if not outcome.rows:
        return html.paragraph("No run has finished.")
    blocks, markdown_blocks = [], [f"\n## {tables.escape_markdown(name)}\n"]
    for kind, title, content, texts in _tables(results, outcome):
        stem = folder / "tables" / f"{slug}{kind}"
        replace_content(stem.with_name(f"{stem.name}.md"), tables.markdown(content))
        replace_content(stem.with_name(f"{stem.name}.tex"), tables.latex(content, f"{title}, {name}"))
        blocks.append(html.heading(title) + html.table(content, texts))
        markdown_blocks += [f"### {title}\n", tables.markdown(content)]
    markdown.extend(markdown_blocks)
    if not drawings.can_draw():
        return "".join(blocks) + html.paragraph("No figures: matplotlib is missing (fastautorec[experiments]).", "note")
    blocks.append(html.heading("Figures"))
    for drawing in drawings.draw(outcome, experiment.drawn):
        for suffix, content_bytes in (("png", drawing.png), ("svg", drawing.svg)):
            replace_content(folder / "figures" / f"{slug}-{drawing.name}.{suffix}", content_bytes)
        blocks.append(html.figure(drawing.svg, drawing.caption))
    return "".join(blocks)


def _tables(results: Results, outcome: Outcome) -> Iterator[tuple[str, str, Table, bool]]:
    """Yield the end of the file name, the title, the table, and whether it is one of long texts."""
    experiment = results.experiment
    yield "", "Accuracy", tables.accuracy(outcome, experiment.columns(outcome.k)), False
    sources = [published for published in experiment.published if published.dataset == outcome.dataset.name]
    for place, published in enumerate(sources, 1):
        kind = "-published" if place == 1 else f"-published-{place}"
        yield kind, "Beside published figures", tables.published(outcome, published), False
    families = dict.fromkeys(name.partition("@")[0] for name in next(iter(outcome.reports.values())) if "@" in name)
    for family in families:
        metrics = tuple(f"{family}@{k}" for k in outcome.k)
        if not set(metrics) <= set(paper_metrics(outcome.k)):
            yield f"-{family.lower()}", f"{family}@K", tables.accuracy(outcome, metrics), False
    yield "-settings", "Settings", tables.settings(outcome), True
    yield "-times", "Times", tables.times(outcome), False


def _failures(results: Results, markdown: list[str]) -> str:
    if not results.failures:
        return html.paragraph("None.")
    markdown.append("\n## Failures\n")
    blocks = []
    for failure in results.failures:
        title = f"{failure.model}, seed {failure.seed}, on {failure.dataset}"
        error = tables.escape_markdown(failure.error).replace("\\`", "`")  # ours, with names of arguments in backticks
        markdown.append(f"- {tables.escape_markdown(title)}: {error}\n")
        blocks.append(html.failure(title, failure.error, failure.trace))
    return "".join(blocks)


# --- environment -----------------------------------------------------------------------------------------------------


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        text = ""
    names = re.findall(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return names[0] if names else platform.processor() or "unknown"


def _versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
