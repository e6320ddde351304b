"""Run: python -m benchmarks.gpu [--json FILE] [--shrink S]."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastautorec as far
from benchmarks.gpu import clock, jobs
from benchmarks.gpu.measure import PRECISIONS, Measurements, Settings
from benchmarks.gpu.table import Row, markdown
from fastautorec._compute import cuda as _cuda
from fastautorec._compute.cuda.cupy_device import TF32_VARIABLE, CupyDevice
from fastautorec.exceptions import BackendUnavailableError

NO_GPU, WRONG = 3, 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description="Speed on a GPU, with answers checked.")
    parser.add_argument("--json", type=Path, help="where to store the results")
    parser.add_argument("--shrink", type=int, default=1, help="divide users and interactions by this, for a trial run")
    options = parser.parse_args()
    try:
        _cuda.open_device(0)
    except BackendUnavailableError as error:
        print(f"benchmarks.gpu needs a GPU: {error}", file=sys.stderr)
        return NO_GPU
    import cupy  # noqa: PLC0415  there is one now

    devices = {tf32: device_with(cupy, tf32) for tf32 in PRECISIONS}
    with devices[False].active():
        measurements = Measurements(devices, clock.EventClock(cupy), sizes(options.shrink))
    rows: list[Row] = []
    try:
        for row in measurements.rows():
            print(f"{row.section}: {row.name}", file=sys.stderr, flush=True)
            rows.append(row)
    except jobs.WrongAnswerError as error:
        print(f"benchmarks.gpu: {error}; nothing is reported", file=sys.stderr)
        return WRONG
    said = machine(cupy, options.shrink)
    print(markdown(said, rows))
    if options.json is not None:
        store(options.json, said, rows)
    return 0


def device_with(cupy: Any, tf32: bool) -> CupyDevice:
    """Return the first GPU with products in TF32 or in float32, whatever the environment says."""
    before = os.environ.get(TF32_VARIABLE)
    os.environ[TF32_VARIABLE] = str(int(tf32))
    try:
        return CupyDevice(cupy, 0)
    finally:
        if before is None:
            del os.environ[TF32_VARIABLE]
        else:
            os.environ[TF32_VARIABLE] = before


def sizes(shrink: int) -> Settings:
    official = Settings()
    shapes = {name: (m // shrink, n, nnz // shrink) for name, (m, n, nnz) in official.shapes.items()}
    return dataclasses.replace(official, shapes=shapes)


def machine(cupy: Any, shrink: int) -> dict[str, str]:
    """Return what the figures were taken on."""
    runtime, properties = cupy.cuda.runtime, cupy.cuda.runtime.getDeviceProperties(0)
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.is_file() else None
    said = {
        "GPU": f"{properties['name'].decode()}, {properties['totalGlobalMem'] / 2**30:.0f} GiB, compute capability "
        f"{properties['major']}.{properties['minor']}",
        "driver": f"{driver()}, CUDA {version(runtime.driverGetVersion())}",
        "CuPy": f"{cupy.__version__}, CUDA {version(runtime.runtimeGetVersion())}",
        "fastautorec": far.__version__,
        "processor": f"{model[1].strip() if model else platform.processor()}, {os.cpu_count()} cores",
        "system": f"{platform.platform(terse=True)}, Python {platform.python_version()}",
    }
    if shrink != 1:
        said["trial"] = f"users and interactions divided by {shrink}: not the official sizes"
    return said


def driver() -> str:
    """Return the version of the driver, of which CUDA knows only what it supports."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "unknown"
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip() if done.returncode == 0 else "unknown"


def version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def store(file: Path, said: dict[str, str], rows: list[Row]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": said, "rows": [dataclasses.asdict(row) for row in rows]}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
