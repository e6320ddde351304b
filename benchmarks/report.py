"""Turn the results of a run into a report with pictures.

python -m benchmarks.report build/benchmarks/results.json              report.md and pictures beside the results
python -m benchmarks.report build/benchmarks/results.json --publish    the same into docs/benchmarks/speed.md
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import _plots
from benchmarks._common import DOCS
from benchmarks._format import duration, replace, table, times
from benchmarks._results import Result, Results
from benchmarks._targets import FAR, TARGETS, Faster, Target, Whole, exponent, rates, roofs, wholes

MARKERS = "<!-- begin: written by report.py -->", "<!-- end: written by report.py -->"
PAGE = DOCS / "speed.md"
BUSY = 0.5  # load per core before the run above which the figures should not be trusted
SHARES = (0.99, 0.999, 1.0)  # of the best validation NDCG


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.report", description="Write the report of a run.")
    parser.add_argument("results", type=Path, help="what python -m benchmarks stored")
    parser.add_argument("--publish", action="store_true", help="write into docs/benchmarks/speed.md too")
    options = parser.parse_args()
    results = Results.read(options.results)
    print(write(results, options.results.parent))
    if options.publish:
        if results.machine["quick"]:
            parser.error("a trial run is not to be published")
        replace(PAGE, text_and_pictures(results, DOCS), MARKERS)


def write(results: Results, folder: Path) -> Path:
    """Write report.md and its pictures into a folder; return its path."""
    file = folder / "report.md"
    file.write_text("# Benchmarks\n\n" + text_and_pictures(results, folder), encoding="utf-8")
    return file


def text_and_pictures(results: Results, folder: Path) -> str:
    """Return the report; its pictures are in the folder."""
    sections: list[tuple[str, Callable[[Results, Path], str]]] = [
        ("Targets", targets),
        ("Fit", fits),
        ("Training: seconds per epoch", epochs),
        ("Time to quality", quality),
        ("Evaluation", lambda results, _: peers(results, "evaluate")),
        ("Recommending", recommending),
        ("Growth of time and memory", growth),
        ("Operations: public functions", operations),
        ("Roofline", roofline),
        ("Negative sampling", sampling),
        ("The run", run),
    ]
    parts = [machine(results)]
    for title, section in sections:
        text = section(results, folder).strip()
        if text:
            parts.append(f"## {title}\n\n{text}")
    return "\n\n".join(parts) + "\n"


# --- the sections -----------------------------------------------------------------------------------------------------


def machine(results: Results) -> str:
    info = results.machine
    settings = ", ".join(f"{name}={value}" for name, value in info["blas_settings"].items())
    busy = " (the machine was busy: not to be quoted)" if info["load"] > BUSY * info["cores"] else ""
    lines = [
        ("Taken", results.taken),
        ("Processor", f"{info['processor']}, {info['cores']} cores, SIMD level {info['simd']}"),
        ("Memory", f"{info['memory_gib']} GiB"),
        ("System", info["system"]),
        ("Python", info["python"]),
        ("Packages", ", ".join(f"{name} {version}" for name, version in info["packages"].items())),
        ("BLAS", "; ".join(info["blas"])),
        ("BLAS settings", settings or "none: the library chooses its kernel"),
        ("Compiler", info["compiler"]),
        ("Machine signature", info["signature"]),
        ("Load before the run", f"{info['load']:.2f}{busy}"),
    ]
    if info["quick"]:
        lines.append(("Sizes", "small: a trial of the machinery, whose times mean nothing"))
    return table(("", ""), lines, numbers=False)


def targets(results: Results, _: Path) -> str:
    floors = wholes(results)
    body = [(*target.cells(results), _beyond(target, results, floors)) for target in TARGETS]
    return table(("", "measured", "wanted", "", "the floor"), body)


def _beyond(target: Target, results: Results, floors: list[Whole]) -> str:
    """Say what a factor over a peer asks for, where that is less than the machine can do."""
    found = target.figure.found(results) if isinstance(target.figure, Faster) else None
    whole = next((whole for whole in floors if found and whole.result is found[0]), None)
    factor = target.figure(results)
    if whole is None or factor is None:
        return ""
    asked = whole.result.median * factor / target.limit
    return f"{duration(whole.floor)}; asked {duration(asked)}" if asked < whole.floor else ""


def fits(results: Results, _: Path) -> str:
    return peers(results, "fit") + "\n\n" + peers(results, "svd")


def epochs(results: Results, _: Path) -> str:
    return peers(results, "epoch")


def peers(results: Results, name: str) -> str:
    """Return a table for each row of results: the first column is ours, the others are its peers."""
    parts = []
    for row in results.rows(name):
        group = results.group(name, row)
        base, *_ = group.values()
        body = [
            (
                column, duration(result.median), duration(result.least), len(result.times),
                "1" if result is base else times(result.over(base)), remarks(result),
            )
            for column, result in group.items()
        ]  # fmt: skip
        parts.append(f"{row}:\n\n" + table(("", "median", "min", "rounds", "× ours", "remarks"), body))
    return "\n".join(parts)


def remarks(result: Result) -> str:
    info, said = result.info, []
    if result.beside is not None:
        said.append(f"ours in turn {duration(result.beside)}")
    if "ndcg" in info:
        said.append(f"test NDCG {info['ndcg']:.4f}")
    if "recall" in info:
        said.append(f"test Recall@20 {info['recall']:.4f}")
    if "iterations" in info:
        said.append(f"{info['iterations']} iterations")
    if "energy" in info:
        said.append(f"{info['energy']:.2%} of the exact SVD's energy")
    if "stages" in info:
        said.append(", ".join(f"{stage} {duration(seconds)}" for stage, seconds in info["stages"].items()))
    return "; ".join(said)


def quality(results: Results, folder: Path) -> str:
    """Return when each training was near its best validation NDCG."""
    curves = [results.group("quality", row) for row in results.rows("quality")]
    if not curves:
        return ""
    body = []
    for kind, curve in sorted((item for group in curves for item in group.items()), key=lambda item: item[1].key[1:]):
        points, epochs = curve.info["points"], sorted(curve.info["epochs"])
        best = max(value for _, value in points)
        reached = (next(at for at, value in points if value >= share * best) for share in SHARES)
        body.append([
            curve.key[1], kind, f"{best:.4f}", *(duration(seconds) for seconds in reached), len(epochs),
            duration(epochs[len(epochs) // 2]) if epochs else "–",
        ])  # fmt: skip
    head = ["", "", "best validation NDCG", *(f"to {share:.1%} of it" for share in SHARES), "epochs", "an epoch"]
    _plots.quality(results, folder / "quality.png")
    return f"{table(head, body)}\n![Validation NDCG against seconds of training](quality.png)"


def recommending(results: Results, _: Path) -> str:
    parts = [peers(results, "recommend")]
    for row in results.rows("latency"):
        body = [
            (column, *(duration(result.quantile(share)) for share in (0.5, 0.9, 0.99)), len(result.times))
            for column, result in results.group("latency", row).items()
        ]
        parts.append(f"{row}:\n\n" + table(("", "p50", "p90", "p99", "requests"), body))
    return "\n".join(parts)


def growth(results: Results, folder: Path) -> str:
    """Return seconds and memory at the paper's shapes, and what each size does on its own."""
    if not (results.rows("shapes") and results.rows("growth")):
        return ""
    body = []
    for row in results.rows("shapes"):
        for column, result in results.group("shapes", row).items():
            info, millions = result.info, result.info["shape"][2] / 1e6
            users, items, count = (f"{size:,}" for size in info["shape"])
            memory = (f"{info[part] / 1e6:,.0f}" for part in ("loaded", "peak", "added", "predicted"))
            each = duration(result.median / millions)
            body.append((row, column, f"{users} × {items}", count, duration(result.median), each, *memory))
    sizes = ("loaded MB", "peak MB", "fit MB", "planned MB")
    head = ("", "", "shape", "interactions", "median", "for a million", *sizes)
    lines = []
    for row in results.rows("growth"):
        found = sorted(results.group("growth", row).values(), key=lambda result: result.info["value"])
        values, seconds = [result.info["value"] for result in found], [result.median for result in found]
        power = f"{exponent(values, seconds):.2f}" if len(found) > 1 else "–"
        lines.append((row, ", ".join(f"{r.info['value']:,}: {duration(r.median)}" for r in found), power))
    _plots.scaling(results, folder / "scaling.png")
    return (
        f"{table(head, body)}\n{table(('ml-20m, other', 'seconds', 'exponent'), lines)}\n"
        "![Seconds and peak memory against sizes](scaling.png)"
    )


def operations(results: Results, _: Path) -> str:
    """Return the public functions with their ratios to the references."""
    others = ("NumPy/SciPy", "plain Python", "NumPy argpartition", "CUDA")
    body = []
    for row in results.rows("ops"):
        group = results.group("ops", row)
        if "C++" in group:
            line = [f"`{row}`", *(duration(group[c].median) if c in group else "–" for c in ("C++", "C++, 1 thread"))]
            for other in others:
                there, ours = group.get(other), group["C++"].median
                line += [duration(there.median), times(there.median / ours)] if there else ["–", "–"]
            body.append(line)
    head = ["", "C++", "1 thread"]
    for other in others:
        head += [other, "×"]
    return table(head, body) if body else ""


def roofline(results: Results, _: Path) -> str:
    """Return the operations on checked input, how far they are from their floors, and why."""
    found, best = roofs(results), rates(results)
    if not found:
        return ""
    body = []
    for roof in found:
        least = (duration(seconds) if seconds else "–" for seconds in roof.parts.values())
        why = roof.why if roof.over > FAR else ""
        body.append((f"`{roof.name}`", duration(roof.seconds), *least, roof.bound, times(roof.over), why))
    head = ("", "median", *(f"{what}, least" for what in best), "floor", "over it", f"why more than {FAR}×")
    return (
        f"Memory copies {best['memory'] / 1e9:.1f} GB/s (bytes read and written), the second-level caches give "
        f"{best['cache'] / 1e9:.0f} GB/s, matrix products {best['arithmetic'] / 1e9:.0f} GFLOP/s, on all cores.\n\n"
        f"{table(head, body)}\n{whole_runs(results)}"
    )


def whole_runs(results: Results) -> str:
    """Return whole fits and epochs against the sum of what their steps cannot do without."""
    body = [
        (
            ", ".join(whole.result.key[1:]), duration(whole.result.median), duration(whole.cache),
            duration(whole.arithmetic), duration(whole.floor), times(whole.result.median / whole.floor),
        )
        for whole in wholes(results)
    ]  # fmt: skip
    return table(("", "median", "cache, least", "arithmetic, least", "floor", "over it"), body) if body else ""


def sampling(results: Results, _: Path) -> str:
    """Return the times of all users, and what drawing for one user costs by the number of negatives."""
    column = "C++, 1 thread"
    found = ((row, results.get("draws", row, column)) for row in results.rows("draws"))
    body = [(row, duration(result.median / 100)) for row, result in found if result is not None]
    each = table(("for one user", column), body) if body else ""
    return peers(results, "sampling") + "\n" + each


def run(results: Results, _: Path) -> str:
    """Return how long each part took, and what was left out."""
    body = [(name, f"{seconds:.0f}") for name, seconds in sorted(results.durations.items())]
    text = table(("", "seconds"), [*body, ("in all", f"{sum(results.durations.values()):.0f}")])
    left_out = "".join(f"- {len(tests)} benchmarks: {reason}\n" for reason, tests in results.left_out.items())
    return text + (f"\nLeft out:\n\n{left_out}" if left_out else "")


if __name__ == "__main__":
    main()
