"""Peak memory and seconds of a whole fit, or of an epoch of training, at the shapes of the paper, in fresh processes.

Run: python benchmarks/memory.py --json FILE [--case NAME ...] [--shrink S]

The data is drawn in a process of its own and reaches the fit through a file, so that drawing it does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# NumPy is imported only in the child processes: a child starts with its parent's peak as its own (Linux keeps ru_maxrss
# across exec), so this process has to stay smaller than they are.

CASES = {
    "ml-20m": (138_362, 22_884, 6_100_000),
    "yahoo 6.1 M": (1_876_280, 44_865, 6_100_000),
    "yahoo 12.2 M": (1_876_280, 44_865, 12_200_000),
    "yahoo 24.4 M": (1_876_280, 44_865, 24_400_000),
    "ml-20m, NCEAutoRec trained": (138_362, 22_884, 12_200_000),
    "ml-20m, NSAutoRec trained": (138_362, 22_884, 12_200_000),
}
FACTORS = 200
TRAINED = {  # one epoch from a random start; the other cases are closed-form fits
    "ml-20m, NCEAutoRec trained": ("NCEAutoRec", {}),
    "ml-20m, NSAutoRec trained": ("NSAutoRec", {"negatives": 500}),
}
BATCH = 1024
CHECKED_USERS = 500
KNOWN = 5  # times the mean score that items of the training data get at least


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory and seconds of a whole fit, each in a fresh process.")
    parser.add_argument("--json", type=Path, help="where to store the results")
    parser.add_argument("--case", action="append", choices=CASES, help="run only this one; may be repeated")
    parser.add_argument("--shrink", type=int, default=1, help="divide users and interactions by this, for a trial run")
    parser.add_argument("--draw", nargs=4, metavar=("USERS", "ITEMS", "NNZ", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--fit", nargs=2, metavar=("CASE", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.draw:
        draw(*map(int, options.draw[:3]), Path(options.draw[3]))
    elif options.fit:
        print(json.dumps(fit(options.fit[0], Path(options.fit[1]))))
    else:
        run(options.case or list(CASES), options.shrink, options.json)


def run(names: list[str], shrink: int, file: Path | None) -> None:
    results = {"shrink": shrink, "factors": FACTORS, "load": os.getloadavg()[0], "cases": {}}
    sizes = ("loaded MB", "peak MB", "fit MB", "plan MB")
    print(
        f"{'case':<28}{'users':>11}{'items':>8}{'nnz':>12}" + "".join(f"{size:>11}" for size in sizes) + f"{'fit s':>8}"
    )
    for name in names:
        users, items, nnz = CASES[name]
        shape = (users // shrink, items, nnz // shrink)
        with tempfile.TemporaryDirectory() as folder:
            child("--draw", *map(str, shape), folder)
            case = results["cases"][name] = json.loads(child("--fit", name, folder))
        figures = "".join(f"{case[key] / 1e6:>11,.0f}" for key in ("loaded", "peak", "added", "predicted"))
        print(f"{name:<28}{shape[0]:>11,}{shape[1]:>8,}{shape[2]:>12,}{figures}{case['seconds']:>8.2f}", flush=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=1))


def child(*arguments: str) -> str:
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def draw(users: int, items: int, nnz: int, folder: Path) -> None:
    import numpy as np  # noqa: PLC0415

    import fastautorec as far  # noqa: PLC0415

    matrix = far.datasets.synthetic(users, items, nnz, random_state=0)
    np.save(folder / "indptr.npy", matrix.indptr.astype(np.int64))
    np.save(folder / "indices.npy", matrix.indices.astype(np.int32))
    (folder / "items.txt").write_text(str(items))


def fit(name: str, folder: Path) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415
    from scipy import sparse  # noqa: PLC0415

    import fastautorec as far  # noqa: PLC0415

    imported = peak()
    indptr, indices = (np.load(folder / f"{name}.npy") for name in ("indptr", "indices"))
    shape = (len(indptr) - 1, int((folder / "items.txt").read_text()))
    matrix = sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
    users = int((indptr[1:] > indptr[:-1]).sum())
    del indptr, indices
    far.NCEAutoRec(factors=8).fit(sparse.eye(64, format="csr", dtype=np.float32))  # lazy imports, threads
    loaded, before = resident(), peak()

    if name in TRAINED:
        model_name, options = TRAINED[name]
        settings = {"mode": "joint", "factors": FACTORS, "epochs": 1, "batch_size": min(BATCH, users)}
        model = getattr(far, model_name).paper(**settings, **options)
    else:
        model = far.NCEAutoRec(factors=FACTORS)
    start = time.perf_counter()
    model.fit(matrix)
    seconds, after = time.perf_counter() - start, peak()

    known = matrix[:CHECKED_USERS]
    scores = model.predict(known)
    assert np.isfinite(scores).all()
    assert scores[known.nonzero()].mean() > KNOWN * abs(scores.mean()), "the model does not know its own training data"
    return {
        "shape": shape,
        "nnz": matrix.nnz,
        "matrix": matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes,
        "imported": imported,
        "loaded": loaded,  # resident with the matrix, before the fit
        "peak_before": before,
        "peak": after,
        "added": after - loaded,
        "predicted": model.plan((*shape, matrix.nnz)).peak_bytes,
        "seconds": seconds,
        "phases": [
            {key: value for key, value in record.items() if key in ("phase", "seconds")} for record in model.history_
        ],
    }


def peak() -> int:
    """Return the largest resident size so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident() -> int:
    """Return the resident size now, in bytes, or the largest so far where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.is_file() else peak()


if __name__ == "__main__":
    main()
