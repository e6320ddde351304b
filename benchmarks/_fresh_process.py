"""Peak memory and seconds of a fit in a fresh process: python -m benchmarks._fresh_process FOLDER < what.json.

The folder holds the interactions, so that drawing them does not count; the answer is JSON on standard output.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

import fastautorec as far
from benchmarks._common import HERE, knows

CHECKED_USERS = 200
ROUNDS_BELOW = 1.0  # seconds of a fit that is timed three times


def measured(folder: Path, model: str, params: dict[str, Any], *, paper: bool = False) -> dict[str, Any]:
    """Fit a model in a fresh process.

    Parameters
    ----------
    folder : path
        What `store` has filled.
    model : str
        Class of the package.
    params : dict
        Its parameters.
    paper : bool
        Whether they change the settings of the paper, or the defaults.

    Returns
    -------
    dict
        Bytes that are resident with the matrix (``loaded``), at the highest (``peak``), for the fit (``added``) and as
        predicted; ``times`` of the fits, of which the first counts for the memory.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._fresh_process", str(folder)], cwd=HERE.parent, check=True,
        input=json.dumps([model, params, paper]), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def store(matrix: sparse.csr_matrix, folder: Path) -> None:
    np.save(folder / "indptr.npy", matrix.indptr.astype(np.int64))
    np.save(folder / "indices.npy", matrix.indices.astype(np.int32))
    np.save(folder / "shape.npy", matrix.shape)


def main() -> None:
    print(json.dumps(fit(Path(sys.argv[1]), *json.load(sys.stdin))))


def fit(folder: Path, name: str, params: dict[str, Any], paper: bool) -> dict[str, Any]:
    indptr, indices, shape = (np.load(folder / f"{part}.npy") for part in ("indptr", "indices", "shape"))
    matrix = sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=tuple(shape.tolist()))
    del indptr, indices
    far.NCEAutoRec(factors=8).fit(sparse.eye(64, format="csr", dtype=np.float32))  # lazy imports, threads
    cls = getattr(far, name)
    model = cls.paper(**params) if paper else cls(**params)
    loaded = _bytes("VmRSS")
    times = [_seconds(model, matrix)]
    peak = _bytes("VmHWM")
    if times[0] < ROUNDS_BELOW:
        times += [_seconds(model, matrix) for _ in range(2)]
    some = matrix[:CHECKED_USERS]
    assert knows(model.predict(some), some), "the model does not know its own training data"
    plan = model.plan((*matrix.shape, matrix.nnz))
    return {
        "shape": [*matrix.shape, matrix.nnz], "loaded": loaded, "peak": peak, "added": peak - loaded,
        "predicted": plan.peak_bytes, "times": times,
    }  # fmt: skip


def _seconds(model: Any, matrix: sparse.csr_matrix) -> float:
    start = time.perf_counter()
    model.fit(matrix)
    return time.perf_counter() - start


def _bytes(what: str) -> int:
    """Return a size of this process. Linux tells it by program; ``ru_maxrss`` would begin with the parent's peak."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines[what].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
