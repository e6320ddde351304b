"""Per-user figures and their summary as files."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fastautorec._files import replace_content, replace_file
from fastautorec.data._texts import is_text, text_array
from fastautorec.experiments._runner import Results, Row

Columns = dict[str, npt.NDArray[Any]]


def write_per_user(results: Results, folder: Path) -> Path:
    """Write one row for each data set, model, seed and user, as Parquet where pyarrow is installed, else as CSV."""
    path, other, write = folder / "per_user.parquet", folder / "per_user.csv", _write_parquet
    if importlib.util.find_spec("pyarrow") is None:
        path, other, write = other, path, _write_csv
    if any(outcome.rows for outcome in results.outcomes):
        replace_file(path, lambda file: write(file, _blocks(results)))
    else:
        path.unlink(missing_ok=True)
    other.unlink(missing_ok=True)  # an earlier run may have left it
    return path


def write_summary(results: Results, path: Path) -> None:
    """Write mean, half-width and spread between seeds, one row for each data set, model and metric."""
    with io.StringIO() as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["dataset", "model", "seeds", "metric", "mean", "half_width", "std_between_seeds"])
        for outcome in results.outcomes:
            for row in outcome.rows:
                means = _means_by_seed(row)
                for place, (name, metric) in enumerate(row.report.items()):
                    spread = float(means[:, place].std(ddof=1)) if len(means) > 1 else ""
                    figures = [metric.mean, metric.half_width, spread]
                    writer.writerow([outcome.dataset.name, row.entry.name, len(means), name, *figures])
        replace_content(path, file.getvalue())


def _means_by_seed(row: Row) -> npt.NDArray[np.float64]:
    return np.stack([stored.arrays["metrics"].mean(axis=0) for stored in row.runs.values()])


def _blocks(results: Results) -> Iterator[Columns]:
    """Yield the columns of one run after the other."""
    as_text = any(is_text(outcome.parts.user_ids) for outcome in results.outcomes)
    names = dict.fromkeys(name for outcome in results.outcomes for row in outcome.rows for name in row.report)
    for outcome in results.outcomes:
        ids = outcome.parts.user_ids
        if as_text and not is_text(ids):  # one column holds those of all data sets
            ids = text_array([str(number) for number in ids.tolist()])
        for row in outcome.rows:
            for seed, stored in row.runs.items():
                users = stored.arrays["users"]
                metrics = stored.arrays["metrics"]
                yield {
                    "dataset": np.full(len(users), outcome.dataset.name),
                    "model": np.full(len(users), row.entry.name),
                    "seed": np.full(len(users), seed),
                    "user": ids[users],
                    "history_length": row.report.history_lengths,
                    "n_test_items": row.report.n_test_items,
                    **dict.fromkeys(names, np.full(len(users), np.nan)),  # shorter lists have fewer metrics
                    **{name: metrics[:, place] for place, name in enumerate(stored.values["names"])},
                }


def _write_csv(file: IO[bytes], blocks: Iterator[Columns]) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    for place, columns in enumerate(blocks):
        if not place:
            writer.writerow(columns)
        writer.writerows(zip(*(_values(column) for column in columns.values()), strict=True))
    text.detach()  # it is closed by its owner


def _values(column: npt.NDArray[Any]) -> Sequence[Any]:
    values: list[Any] = column.tolist()
    return values


def _write_parquet(file: IO[bytes], blocks: Iterator[Columns]) -> None:
    import pyarrow as pa  # noqa: PLC0415  an extra
    from pyarrow import parquet  # noqa: PLC0415

    writer = None
    try:
        for columns in blocks:
            block = pa.table(
                {name: pa.array(_values(column) if is_text(column) else column) for name, column in columns.items()}
            )
            writer = parquet.ParquetWriter(file, block.schema) if writer is None else writer
            writer.write_table(block)
    finally:
        if writer is not None:
            writer.close()
