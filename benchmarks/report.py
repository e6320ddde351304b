"""Turns the results of the benchmarks into the tables of README.md.

Run: python benchmarks/report.py SPEED.json [MEMORY.json] [--readme FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

MARKERS = "<!-- begin: written by report.py -->", "<!-- end: written by report.py -->"
README = Path(__file__).with_name("README.md")

FITS = ("NCEAutoRec()", 200e-3)  # seconds at most
REQUIRED: dict[tuple[str, ...], float] = {  # at least this many times faster than the peer, in all rows or in one
    ("models", "implicit ALS, 64 factors, 15 iterations"): 5,
    ("models", "EASE by NumPy inverse"): 10,
    ("evaluation", "NumPy: scores, argpartition, metrics"): 8,
    ("training", "PyTorch", "NCEAutoRec, joint, batch 100"): 8,
    ("training", "PyTorch", "NCEAutoRec, joint, batch 500"): 10,
    ("training", "PyTorch", "NCEAutoRec, joint, batch 1024"): 12,
    ("sampling", "NumPy multinomial"): 30,
    ("sampling", "plain Python"): 200,
    ("operations", "NumPy/SciPy"): 3,
    ("operations", "plain Python"): 100,
}
REQUIRED_OPERATIONS = ("nce_transform", "encode", "encode, identity", "encode_backward", "top_items")
MEMORY_LIMITS = {  # bytes and seconds at most
    "ml-20m": (1.5e9, 15.0),
    "yahoo 24.4 M": (4e9, None),
    "ml-20m, NCEAutoRec trained": (2e9, None),
    "ml-20m, NSAutoRec trained": (2e9, None),
}
BUSY = 0.5  # load per core before the run above which the figures should not be trusted

Result = dict[str, Any]
Key = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the tables of benchmarks/README.md.")
    parser.add_argument("speed", type=Path, help="what pytest --benchmark-json wrote")
    parser.add_argument("memory", type=Path, nargs="?", help="what memory.py --json wrote")
    parser.add_argument("--readme", type=Path, default=README)
    options = parser.parse_args()
    speed = json.loads(options.speed.read_text())
    results = {key(result): result for result in speed["benchmarks"]}
    parts = [
        machine(speed),
        "### Models: seconds to fit",
        *(peers(results, "models", row) for row in ("main", "svd")),
        "### Training: seconds per epoch",
        *(f"{row}:\n\n{peers(results, 'training', row)}" for row in rows(results, "training")),
        "### Evaluation",
        *(f"{row}:\n\n{peers(results, 'evaluation', row)}" for row in rows(results, "evaluation")),
        "### Operations: public functions",
        operations(results),
        "### Operations: the work itself, on checked input",
        kernels(results),
    ]
    parts += [
        "### Negative sampling",
        *(f"`{row}`, all 53,418 users:\n\n{peers(results, 'sampling', row)}" for row in rows(results, "sampling")),
        draws(results),
    ]
    if options.memory:
        parts += ["### Memory of a whole fit", memory(json.loads(options.memory.read_text()))]
    replace(options.readme, "\n\n".join(part.strip() for part in parts if part))
    print(f"{len(results)} results written to {options.readme}")


def replace(file: Path, block: str, markers: tuple[str, str] = MARKERS) -> None:
    """Put ``block`` between the two marker lines."""
    text, (begin, end) = file.read_text(), markers
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{file} must hold each marker once: {begin} and {end}")
    before, after = text[: text.index(begin)], text[text.index(end) :]
    file.write_text(f"{before}{begin}\n\n{block.strip()}\n\n{after}")


# --- reading the results ----------------------------------------------------------------------------------------------


def key(result: Result) -> Key:
    info = result["extra_info"]
    return info["table"], info["row"], info["column"]


def median(result: Result) -> float:
    """Return the median in seconds, scaled to all users where only a share of them was worked on."""
    return result["stats"]["median"] / result["extra_info"].get("share", 1)


def least(result: Result) -> float:
    return result["stats"]["min"] / result["extra_info"].get("share", 1)


def columns(results: dict[Key, Result], table: str, row: str) -> dict[str, Result]:
    return {column: result for (t, r, column), result in results.items() if (t, r) == (table, row)}


def rows(results: dict[Key, Result], table: str) -> list[str]:
    return list(dict.fromkeys(row for t, row, _ in results if t == table))


# --- the tables -------------------------------------------------------------------------------------------------------


def machine(speed: Result) -> str:
    info = speed["machine_info"]["report"]
    settings = ", ".join(f"{name}={value}" for name, value in info["blas_settings"].items())
    lines = [
        ("Taken", speed["datetime"][:10]),
        ("Processor", f"{info['processor']}, {info['cores']} cores, SIMD level {info['simd']}"),
        ("Memory", f"{info['memory_kb'] / 2**20:.0f} GiB"),
        ("System", info["system"]),
        ("Python", info["python"]),
        ("Packages", ", ".join(f"{name} {version}" for name, version in info["packages"].items())),
        ("BLAS", "; ".join(info["blas"])),
        ("BLAS settings", settings or "none: the library chooses its kernel"),
        ("Compiler", info["compiler"]),
        ("Data", info["data"]),
        ("Load before the run", f"{info['load']:.2f}{busy(info['load'], info['cores'])}"),
    ]
    return table(("", ""), lines, numbers=False)


def busy(load: float, cores: int) -> str:
    return " (the machine was busy: not to be quoted)" if load > BUSY * cores else ""


def peers(results: dict[Key, Result], name: str, row: str) -> str:
    """Return the table of one group: the first is ours, the others are its peers."""
    group = columns(results, name, row)
    if not group:
        return ""
    base, *_ = group.values()
    return table(
        ("", "median", "min", "rounds", "× ours", "at least", "remarks"),
        [
            (
                column,
                duration(median(result)),
                duration(least(result)),
                result["stats"]["rounds"],
                "1" if result is base else ratio(result, base),
                requirement(name, row, column, result, base),
                remarks(result["extra_info"]),
            )
            for column, result in group.items()
        ],
    )


def draws(results: dict[Key, Result]) -> str:
    """Return what drawing negatives for one user costs, by their number."""
    name, column = "sampling, 100 users", "C++, 1 thread"
    body = [(row, f"{median(results[name, row, column]) / 100 * 1e6:.3g} µs") for row in rows(results, name)]
    return table(("for one user", column), body)


def requirement(name: str, row: str, column: str, result: Result, base: Result) -> str:
    if column == FITS[0]:
        return f"< {duration(FITS[1])}, {verdict(median(result) < FITS[1])}"
    for (required_table, peer, *only), factor in REQUIRED.items():
        if required_table == name and column.startswith(peer) and row in (only or [row]):
            return f"{factor}×, {verdict(median(result) >= factor * median(base))}"
    return "–"


def remarks(info: dict[str, Any]) -> str:
    said = []
    if "ndcg" in info:
        said.append(f"test NDCG {info['ndcg']:.4f}")
    if "energy" in info:
        said.append(f"{info['energy']:.2%} of the exact SVD's energy")
    if "stages" in info:
        said.append(", ".join(f"{stage} {duration(seconds)}" for stage, seconds in info["stages"].items()))
    return "; ".join(said)


def operations(results: dict[Key, Result]) -> str:
    """Return the public functions with their ratios to the references."""
    others = ["NumPy/SciPy", "plain Python", "NumPy argpartition"]
    body = []
    for row in rows(results, "operations"):
        group = columns(results, "operations", row)
        ours = group.get("C++")
        if ours is None:
            continue
        line = [f"`{row}`", duration(median(ours)), duration(least(ours)), cell(group, "C++, 1 thread", time_of)]
        for other in others:
            line += [cell(group, other, time_of), cell(group, other, lambda result, o=ours: ratio(result, o))]
        body.append((*line, operation_verdict(row, group)))
    head = ["", "C++", "min", "1 thread"]
    for other in others:
        head += [other, "×"]
    return table((*head, "at least 3× and 100×"), body)


def operation_verdict(row: str, group: dict[str, Result]) -> str:
    if row not in REQUIRED_OPERATIONS:
        return "–"
    failed = [
        f"{factor}× not met"
        for (name, other, *_), factor in REQUIRED.items()
        if name == "operations" and other in group and median(group[other]) < factor * median(group["C++"])
    ]
    return ", ".join(failed) or verdict(True)


def kernels(results: dict[Key, Result]) -> str:
    """Return the kernels with their rates, and what the machine can do to compare with."""
    copy = results.get(("machine", "memory copy", "NumPy"))
    product = results.get(("machine", "matrix product", "NumPy"))
    bandwidth = rate(copy, "traffic") if copy else None
    peak = rate(product, "flop") if product else None
    body = []
    for row in rows(results, "kernels"):
        group = columns(results, "kernels", row)
        ours = group.get("C++")
        if ours is None:
            continue
        traffic, gathered, flop = (rate(ours, what) for what in ("traffic", "gathered", "flop"))
        body.append(
            (
                f"`{row}`",
                duration(median(ours)),
                duration(least(ours)),
                cell(group, "C++, 1 thread", time_of),
                cell(group, "NumPy/SciPy", time_of),
                cell(group, "NumPy/SciPy", lambda result, o=ours: ratio(result, o)),
                f"{traffic / 1e9:.1f}",
                share(traffic, bandwidth),
                f"{gathered / 1e9:.1f}" if gathered else "–",
                share(gathered, bandwidth) if gathered else "–",
                f"{flop / 1e9:.1f}" if flop else "–",
                share(flop, peak) if flop else "–",
            )
        )
    head = ("", "C++", "min", "1 thread", "NumPy/SciPy", "×")
    rates = ("GB/s", "of a copy", "gathered GB/s", "of a copy", "GFLOP/s", "of a matrix product")
    notes = []
    if bandwidth:
        notes.append(f"Memory copy, all cores (bytes read and written): {bandwidth / 1e9:.1f} GB/s.")
    if peak:
        notes.append(f"Float32 matrix product by BLAS, all cores: {peak / 1e9:.0f} GFLOP/s.")
    return table((*head, *rates), body) + "\n" + " ".join(notes)


def memory(found: dict[str, Any]) -> str:
    body = []
    for name, case in found["cases"].items():
        (users, items), most = case["shape"], MEMORY_LIMITS.get(name)
        required = "–"
        if most is not None and found["shrink"] == 1:
            limit_bytes, limit_seconds = most
            met = case["peak"] < limit_bytes and (limit_seconds is None or case["seconds"] < limit_seconds)
            seconds = "" if limit_seconds is None else f", {limit_seconds:g} s"
            required = f"{limit_bytes / 1e9:g} GB{seconds}: {verdict(met)}"
        figures = (f"{case[part] / 1e6:,.0f}" for part in ("loaded", "peak", "added", "predicted"))
        body.append(
            (
                name,
                f"{users:,} × {items:,}",
                f"{case['nnz']:,}",
                *figures,
                f"{case['seconds']:.1f}",
                f"{case['seconds'] / (case['nnz'] / 1e6):.2f}",
                required,
            )
        )
    sizes = ("loaded MB", "peak MB", "fit MB", "planned MB")
    head = ("case", "shape", "interactions", *sizes, "seconds", "s per million", "below")
    what = f"`NCEAutoRec(factors={found['factors']})`, or one epoch in mode joint from a random start"
    notes = f"{what}; load before the run {found['load']:.2f}."
    if found["shrink"] != 1:
        notes += f" A trial with users and interactions divided by {found['shrink']}: not the official sizes."
    return table(head, body) + "\n" + notes


# --- formatting -------------------------------------------------------------------------------------------------------


def table(head: Iterable[object], body: Iterable[Iterable[object]], *, numbers: bool = True) -> str:
    """Return a markdown table, all columns but the first right-aligned where they hold numbers."""
    head = list(head)
    rule = ["---", *(["--:" if numbers else "---"] * (len(head) - 1))]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in (head, rule, *body))


def cell(group: dict[str, Result], column: str, show: Callable[[Result], str]) -> str:
    return show(group[column]) if column in group else "–"


def time_of(result: Result) -> str:
    return duration(median(result))


def duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def ratio(result: Result, base: Result) -> str:
    factor = median(result) / median(base)
    return f"{factor:,.0f}×" if factor >= 100 else f"{factor:.1f}×"


def rate(result: Result, what: str) -> float:
    return result["extra_info"][what] / median(result)


def share(value: float, most: float | None) -> str:
    return f"{value / most:.0%}" if most else "–"


def verdict(met: bool) -> str:
    return "met" if met else "**not met**"


if __name__ == "__main__":
    main()
