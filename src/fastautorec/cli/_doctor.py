"""The command ``fastautorec doctor``: versions, BLAS, threads, SIMD level, GPU, and whether the results are right."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

import fastautorec
from fastautorec import models
from fastautorec._compute import ENVIRONMENT_VARIABLE, get_backend, resolve_num_threads, simd_level
from fastautorec.datasets import synthetic
from fastautorec.evaluation._tables import table_lines
from fastautorec.exceptions import BackendUnavailableError

OPTIONAL = {"polars": "data", "pyarrow": "data", "matplotlib": "plot"}
CUPY = ("cupy-cuda12x", "cupy-cuda13x", "cupy")
TOLERANCE = 1e-3  # difference of scores, relative to the largest: float32 sums in another order


def report() -> tuple[list[str], bool]:
    """Return the lines of the report, and whether everything that is needed works."""
    rows: list[list[str]] = [
        ["fastautorec", fastautorec.__version__],
        ["Python", f"{platform.python_version()} ({platform.python_implementation()})"],
        ["system", f"{platform.system()} {platform.release()}, {platform.machine()}"],
        *([name, importlib.metadata.version(name)] for name in ("numpy", "scipy", "threadpoolctl", "tqdm")),
        *([name, _optional(name, extra)] for name, extra in OPTIONAL.items()),
        *(["BLAS", text] for text in _blas()),
        ["threads", _threads()],
    ]
    try:
        rows.append(["native core", f"loaded, SIMD level {simd_level()}"])
    except ImportError as error:
        rows += [
            ["native core", f"cannot be loaded: {error}"],
            ["", "reinstall it: pip install --force-reinstall fastautorec"],
        ]
    rows += [["GPU", _gpu()], ["CuPy", _cupy()]]
    text, good = _self_check()
    rows.append(["self-check", text])
    return _left_aligned(rows), good


def _left_aligned(rows: list[list[str]]) -> list[str]:
    width = max(len(row[1]) for row in rows)
    return table_lines([[row[0], row[1].ljust(width)] for row in rows])


def _optional(name: str, extra: str) -> str:
    return _version(name) or f"not installed (optional; pip install 'fastautorec[{extra}]')"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _blas() -> Iterator[str]:
    """Describe the BLAS libraries in this process; NumPy and SciPy may each have brought one."""
    from scipy import linalg  # noqa: F401, PLC0415  loads its BLAS

    libraries: list[dict[str, Any]] = ThreadpoolController().info()
    for library in libraries:
        kind = f"{library['internal_api']} {library.get('version') or '(unknown version)'}"
        architecture = f", {library['architecture']}" if library.get("architecture") else ""
        threads = f"{library['num_threads']} thread{'s' if library['num_threads'] != 1 else ''}"
        yield f"{kind}{architecture}, {threads} ({Path(library['filepath']).name})"
    if not libraries:
        yield "none that threadpoolctl knows: BLAS threads cannot be limited"


def _threads() -> str:
    cores = os.cpu_count() or 1
    try:
        number = resolve_num_threads(None)
    except ValueError as error:
        return str(error)
    if os.environ.get(ENVIRONMENT_VARIABLE):
        return f"{number}, set by {ENVIRONMENT_VARIABLE} (the machine has {cores})"
    return f"{number}, the cores this process may use of {cores} (num_threads= or {ENVIRONMENT_VARIABLE} change it)"


def _gpu() -> str:
    try:
        get_backend("cuda")
    except BackendUnavailableError as error:
        return f"not available: {_reason(error)}"
    except ValueError as error:  # the environment variable for threads is wrong
        return f"not checked: {error}"
    return "available"


def _reason(error: BackendUnavailableError) -> str:
    """Return what is amiss, without the words for those who have set ``device``."""
    text = re.sub("^`device` is '[^']*', (which |but )", "", str(error))
    return re.sub("(;|,) or use device='cpu'$", "", text)


def _cupy() -> str:
    found = [f"{name} {version}" for name in CUPY if (version := _version(name))]
    return ", ".join(found) or "not installed (optional; pip install 'fastautorec[cuda12]' or 'fastautorec[cuda13]')"


def _self_check() -> tuple[str, bool]:
    """Fit small models, one exactly and one by gradients, on every device that works, and compare with plain NumPy."""
    data = synthetic(600, 300, 12_000)
    devices = ("reference", "cpu", *(("cuda",) if _gpu() == "available" else ()))
    recommenders = models.NCEAutoRec(factors=32), models.NSAutoRec(factors=16, negatives=50, epochs=1, mode="joint")
    scores, seconds = {}, {}
    for device in devices:
        start = time.perf_counter()
        try:
            scores[device] = [model.set_params(device=device).fit(data).predict(data) for model in recommenders]
        except Exception as error:  # a GPU's libraries may raise anything
            return f"FAILED on {device}: {type(error).__name__}: {error}", False
        seconds[device] = time.perf_counter() - start
    expected = scores["reference"]
    difference = max(
        float(np.abs(ours - right).max() / np.abs(right).max())
        for device in devices[1:]
        for ours, right in zip(scores[device], expected, strict=True)
    )
    good = difference < TOLERANCE
    times = ", ".join(f"{device} {1e3 * value:.0f} ms" for device, value in seconds.items())
    text = f"{' and '.join(devices[1:])} differ from reference by {difference:.1e} at most, relative ({times})"
    return f"{'passed' if good else 'FAILED'}: {text}", good
