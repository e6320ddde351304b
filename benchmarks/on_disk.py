"""Fit, recommend and evaluate on interactions that are larger than the memory the process may have.

Run: python benchmarks/on_disk.py [--copies N] [--limit MB] [--folder FOLDER] [--json FILE]

One process writes the data, another one works on it with a limit of the operating system on its data segments
(RLIMIT_DATA: all memory that it may write to, the pages of mapped files not included). What was really used is the
largest RssAnon, looked at every 20 ms.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastautorec as far

USERS, ITEMS, NNZ = 50_000, 20_000, 25_000_000  # of a drawn block, which is written again and again
COPIES = 30
LIMIT = 640  # MB
FACTORS = 50
MODELS: dict[str, Callable[[], Any]] = {
    "Popularity": far.Popularity,
    "PureSVD": far.PureSVD,
    "NCEPLRec": lambda: far.NCEPLRec(factors=FACTORS),
    "NCEAutoRec": lambda: far.NCEAutoRec(factors=FACTORS),
}
RECOMMENDED = 100_000  # users at a time


def main() -> None:
    parser = argparse.ArgumentParser(description="Work on data that is larger than the memory allowed.")
    parser.add_argument("--copies", type=int, default=COPIES, help="of a block of 25 million interactions")
    parser.add_argument("--limit", type=int, default=LIMIT, help="of the data segments, MB")
    parser.add_argument("--folder", type=Path, help="where to write the data for the time being")
    parser.add_argument("--json", type=Path, help="where to store the results")
    parser.add_argument("--step", choices=("write", "work"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "write":
        print(json.dumps(write(options.folder, options.copies)))
    elif options.step == "work":
        print(json.dumps(work(options.folder, options.limit)))
    else:
        run(options)


def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        arguments = ["--folder", folder, "--copies", str(options.copies), "--limit", str(options.limit)]
        results = child("--step", "write", *arguments) | child("--step", "work", *arguments)
    print(f"{results['data']} with {results['bytes'] / 1e6:,.0f} MB on disk, at most {options.limit} MB of memory")
    for name, (seconds, peak) in results["steps"].items():
        print(f"{name:<28}{seconds:>9.1f} s{peak / 1e6:>9,.0f} MB")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def child(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def write(folder: Path, copies: int) -> dict[str, Any]:
    block = far.datasets.synthetic(USERS, ITEMS, NNZ, random_state=0)
    train, test = far.split(block, ratios=(0.995, 0.005), by="random")
    data = far.Interactions.write(folder / "train", (train for _ in range(copies)))
    far.Interactions.write(folder / "test", (test for _ in range(copies)))
    return {"data": repr(data), "bytes": sum(file.stat().st_size for file in (folder / "train").iterdir())}


def work(folder: Path, limit: int) -> dict[str, Any]:
    far.NCEAutoRec(factors=8).fit(far.datasets.load_example())  # lazy imports, threads
    resource.setrlimit(resource.RLIMIT_DATA, (limit << 20, limit << 20))
    train, test = (far.Interactions.open(folder / name) for name in ("train", "test"))
    must_fail(lambda: np.array(train.user_items.indices))
    steps = {"before": (0.0, anonymous())}
    for name, make in MODELS.items():
        model = make()
        steps[f"fit {name}"] = watched(lambda model=model: model.fit(train))
        print(name, steps[f"fit {name}"], file=sys.stderr)
    steps["recommend, 10 items each"] = watched(lambda: [model.recommend(b) for b in train.blocks(RECOMMENDED)])
    steps["evaluate, lists of 10"] = watched(lambda: far.evaluate(model, train, test, k=10))
    return {"limit": limit << 20, "steps": steps}


def must_fail(load: Callable[[], Any]) -> None:
    try:
        load()
    except MemoryError:
        return
    raise AssertionError("the data fits into the memory allowed; use more copies or a lower limit")


def watched(action: Callable[[], Any]) -> tuple[float, int]:
    """Return seconds and the largest anonymous memory of an action."""
    seen, done = [anonymous()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    try:
        action()
    finally:
        done.set()
        watcher.join()
    return time.perf_counter() - start, max(seen)


def anonymous() -> int:
    """Return the memory of the process that is no page of a file, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
