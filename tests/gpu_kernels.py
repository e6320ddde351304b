"""Launches every CUDA kernel on small inputs, so that NVIDIA's compute-sanitizer sees it; results have their own tests.

Run: python tests/gpu_kernels.py [--sanitize memcheck] [--sanitize racecheck]
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from fastautorec import datasets
from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr
from fastautorec._compute.cuda.backend import CudaBackend
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.sampling import make_sampler, popularity_weights
from fastautorec.exceptions import BackendUnavailableError

USERS, ITEMS, NNZ = 300, 70, 4000  # lists of more than a segment, batches of more than a chunk of rows
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
WHEELS = ("nvidia-cuda-sanitizer-api", "nvidia-cuda-sanitizer-api-cu12")
OURS = "regex=^[a-z_0-9]+_kernel$"  # names of C functions; those of CuPy and CUB are mangled or end otherwise
NO_GPU = 3


def main() -> int:
    parser = argparse.ArgumentParser(description="Launch every CUDA kernel on small inputs.")
    parser.add_argument(
        "--sanitize", action="append", choices=TOOLS, help="run under compute-sanitizer; may be repeated"
    )
    options = parser.parse_args()
    try:
        if options.sanitize:
            return sanitize(options.sanitize)
        backend = get_backend("cuda", 1)
    except BackendUnavailableError as error:
        print(f"gpu_kernels.py needs a GPU: {error}", file=sys.stderr)
        return NO_GPU
    without_pools()
    launch_all(backend)
    print("all kernels have run")
    return 0


def without_pools() -> None:
    """Give every array memory of its own: within a pool, memcheck does not see where an array ends."""
    import cupy

    cupy.cuda.set_allocator(None)
    cupy.cuda.set_pinned_memory_allocator(None)


# --- compute-sanitizer ------------------------------------------------------------------------------------------------


def sanitize(tools: list[str]) -> int:
    """Run this file under each tool; return the first exit status that is not 0."""
    get_backend("cuda", 1)  # compiles nothing that is needed, but says what is wrong before a tool hides it
    program = find_sanitizer()
    if program is None:
        print(
            "compute-sanitizer is missing; it comes with the CUDA toolkit, and in the wheels nvidia-cuda-sanitizer-api "
            "(CUDA 13) and nvidia-cuda-sanitizer-api-cu12: make test-gpu installs the right one into .venv",
            file=sys.stderr,
        )
        return 1
    for tool in tools:
        command = [*program, "--tool", tool, "--kernel-name", OURS, "--error-exitcode", "1", "--launch-timeout", "120"]
        print(" ".join([*command, sys.executable, __file__]), flush=True)
        status = subprocess.run([*command, sys.executable, __file__], check=False).returncode
        if status:
            return status
    return 0


def find_sanitizer() -> list[str] | None:
    """Return the start of a command: of an installed wheel, of the PATH, or of the toolkit; None if there is none."""
    for wheel in WHEELS:
        try:
            files = metadata.files(wheel) or []
        except metadata.PackageNotFoundError:
            continue
        found = [Path(str(file.locate())) for file in files if file.parts[-2:] == ("bin", "compute-sanitizer")]
        for path in found:
            path.chmod(path.stat().st_mode | stat.S_IXUSR)  # the wheel for CUDA 12 forgets it
            libraries = path.parent.parent / "lib"
            own = (libraries / "libsanitizer-collection.so").exists()  # and does not look for them there
            return [str(path), "--injection-path", str(libraries)] if own else [str(path)]
    toolkit = Path(os.environ.get("CUDA_HOME") or "/usr/local/cuda") / "bin"
    path = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=str(toolkit))
    return None if path is None else [path]


# --- every kernel -----------------------------------------------------------------------------------------------------


def launch_all(backend: CudaBackend) -> None:
    """Launch every kernel of ``cuda/``, each in its main ways, through the operations of the backend."""
    drawn = datasets.synthetic(USERS, ITEMS, NNZ, random_state=1)
    data = Csr(drawn.indptr.astype(np.int64), drawn.indices.astype(np.int32), None, ITEMS)
    with backend.active():
        train = backend.put(data)
        batch = next(train.batches(np.random.default_rng(0).permutation(USERS), USERS - 1))
        for k, adjacent in ((132, False), (5, True)):  # loads of four numbers, and of one
            launch_training(backend, Weights(backend, k, adjacent), train, batch)
        launch_ranking(backend, train)
        launch_sampling(backend, train)
        backend.device.to_host(backend.zeros(1, 1))  # an error of a kernel shows here at the latest


class Weights:
    """Random matrices of the device; rows start at 64 bytes, or ``adjacent`` ones where the last one ends."""

    def __init__(self, backend: CudaBackend, k: int, adjacent: bool) -> None:
        self._backend, self._adjacent, self.k = backend, adjacent, k
        self._rng = np.random.default_rng(k)

    def matrix(self, rows: int, columns: int) -> Any:
        made = (self._backend.empty if self._adjacent else self._backend.zeros)(rows, columns)
        made[...] = self._backend.to_device(self._rng.normal(size=(rows, columns)).astype(np.float32))
        return made

    def parameter(self, rule: str, bias: bool = True) -> Parameter:
        return Parameter(self.matrix(ITEMS, self.k + bias), rule, decay=0.1, last_decay=0.1, bias_column=bias)


def launch_training(backend: CudaBackend, weights: Weights, train: Any, batch: Any) -> None:
    """Take steps with both heads, in batches with values and without, and build what an exact solution needs."""
    q, k = batch.shape[0], weights.k
    encoder, bias = weights.parameter("adam", bias=False), weights.matrix(1, k)
    hidden, grad = weights.matrix(q, k + 1), weights.matrix(q, k + 1)
    shown = backend.drop_entries(batch.weighted(None, 0.5), 0.3, 1, 2)
    for inputs in (batch, shown):
        backend.encode(inputs, encoder.value, bias[0], "tanh", out=hidden[:, :k])
        inputs.length_powers(0.5, hidden[:, k])
        for rule in ("adam", "adamw", "sgd", "gradient"):
            backend.mse_head(hidden, weights.parameter(rule), inputs, 0.5, grad)
        sampler = make_sampler(popularity_weights(backend.count_items(train), 1.0), 20)
        negatives, counts = backend.sample_negatives(sampler, batch.user_numbers(), batch, 3, 4)
        decoder = weights.parameter("adam")
        backend.add_up([backend.ns_head(hidden, decoder, batch, negatives, counts, "sigmoid", 1.0, grad)])
        backend.ns_head(hidden, decoder, batch, negatives, counts, "logsigmoid", 1.0, None)
        backend.activation_backward(hidden[:, :k], grad[:, :k], "tanh")
        backend.encode_backward(inputs, grad[:, :k], parameter=encoder)
        backend.encode_backward(inputs, grad[:, :k], out=weights.matrix(ITEMS, k))
        inputs.column_squares()
    backend.optimizer_step(encoder, weights.matrix(ITEMS, k))
    backend.sum_of_squares(encoder.value)
    backend.gram_product(backend.nce_transform(train, 1.0, "users"), encoder.value)


def launch_ranking(backend: CudaBackend, train: Any) -> None:
    """Make lists, in tiles, beyond what a block sorts and of equal scores, and judge them."""
    rng = np.random.default_rng(2)
    for width, n_top, distinct in ((ITEMS, 10, 10**6), (ITEMS, 10, 1), (3000, 1500, 10**6), (3000, 20, 3)):
        scores = backend.to_device(rng.integers(distinct, size=(8, width)).astype(np.float32))
        exclude = train.rows(5, 13) if width == ITEMS else None
        best = backend.top_items(scores[:, : width // 2], n_top, exclude, 0, None)
        ids, _ = backend.top_items(scores[:, width // 2 :], n_top, exclude, width // 2, best)
        for definition in ("standard", "paper"):
            backend.ranking_metrics(ids, train.rows(20, 28), (1, 5, 40), definition)


def launch_sampling(backend: CudaBackend, train: Any) -> None:
    """Draw one by one and by counts, with scratch in shared and in global memory."""
    users = np.arange(40)
    popularity = backend.count_items(train)
    wide = sparse.csr_matrix(np.random.default_rng(3).random((40, 5000)) < 0.3)  # too long for shared memory
    seen = backend.put(Csr(wide.indptr.astype(np.int64), wide.indices.astype(np.int32), None, 5000))
    for by_counts in (False, True):
        few = make_sampler(popularity_weights(popularity, 0.5), 200, by_counts=by_counts)
        backend.sample_negatives(few, users, dataclasses.replace(train.rows(0, 40), users=None), 5, 6)
        backend.sample_negatives(few, users, None, 5, 7)
        many = make_sampler(np.arange(1.0, 5001.0), 60, by_counts=by_counts)
        backend.sample_negatives(many, users, seen, 5, 6)


if __name__ == "__main__":
    sys.exit(main())
