"""Benchmark of the CUDA backend on a GPU: answers compared with the CPU, then jobs against targets and peers.

Run: python -m benchmarks.gpu [--json FILE] [--shrink S]. The kernels of a job are told by NVIDIA's nsys profile.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastautorec as far
from benchmarks import _gpu_jobs as jobs
from benchmarks._format import duration, table, verdict
from benchmarks._training import Training
from fastautorec._compute import cuda as _cuda
from fastautorec._compute.cuda.cupy_device import TF32_VARIABLE, CupyDevice
from fastautorec.exceptions import BackendUnavailableError

NO_GPU, WRONG = 3, 1
EPOCH_TARGETS = {"goodbooks": 0.0105, "ml-20m": 0.032}  # seconds on an H100
FIT_TARGETS = {"goodbooks": 0.06, "ml-20m": 0.15}
NEGATIVES_TARGET = 0.02
USERS_PER_SECOND = 1e6
TIMES_ARGPARTITION = 5
PRECISIONS = {False: "float32", True: "TF32"}
VARIANTS = {"dense input": False, "items looked up": True}  # of PyTorch's first layer; the faster one is the peer
MOST = 50  # rounds
COLUMNS = ("", "median", "peer", "× ours", "target", "remarks")


@dataclass(frozen=True)
class Settings:
    """Sizes of a run; the defaults are the official ones."""

    shapes: dict[str, tuple[int, int, int]] = field(
        default_factory=lambda: {name: far.datasets.PAPER_SHAPES[name] for name in ("goodbooks", "ml-20m")}
    )
    factors: int = 200
    batch_size: int = 1024
    negatives: int = 500
    top: int = 50
    seconds: float = 3.0  # that the rounds of a job may take in all
    fewest: int = 5  # rounds
    torch_device: str = "cuda"


@dataclass(frozen=True)
class Row:
    """A result.

    Attributes
    ----------
    section, name : str
    seconds : float or None
        Median; None where there is nothing to time.
    peer : float or None
        Seconds of the peer in the same run.
    at_most : float or None
        Target in seconds.
    at_least : float or None
        Target in times faster than the peer.
    remarks : str
    """

    section: str
    name: str
    seconds: float | None = None
    peer: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    remarks: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        seconds, peer, said = self.seconds, self.peer, []
        if self.at_most is not None and seconds is not None:
            said.append(f"≤ {duration(self.at_most)}, {verdict(seconds <= self.at_most)}")
        if self.at_least is not None and seconds is not None and peer is not None:
            said.append(f"{self.at_least:g}×, {verdict(peer >= self.at_least * seconds)}")
        times = f"{peer / seconds:.1f}×" if peer is not None and seconds else ""
        shown = ("" if value is None else duration(value) for value in (seconds, peer))
        return self.name, *shown, times, "; ".join(said), self.remarks


def markdown(machine: dict[str, str], rows: list[Row]) -> str:
    """Return the machine and all rows as one table, a bold line before each section."""
    empty = [""] * (len(COLUMNS) - 2)
    body: list[tuple[object, ...]] = [("**Machine**", *empty, "")]
    body += [(what, *empty, said) for what, said in machine.items()]
    for section in dict.fromkeys(row.section for row in rows):
        body += [(f"**{section}**", *empty, ""), *(row.cells() for row in rows if row.section == section)]
    return table(COLUMNS, body)


class Measurements:
    """All results of a run.

    Parameters
    ----------
    devices : dict of bool to device
        The same GPU with products in float32 (False) and in TF32 (True), or with one of them.
    wait : callable
        Waits until the GPU has done its work.
    settings : Settings
    """

    def __init__(self, devices: dict[bool, Any], wait: Callable[[], None], settings: Settings) -> None:
        self.devices, self.wait, self.settings = devices, wait, settings
        self.data = {name: jobs.data(shape) for name, shape in settings.shapes.items()}

    def rows(self) -> Iterator[Row]:
        """Yield every result as soon as it is there."""
        yield from self.checks()
        for name in self.data:
            yield from self.epochs(name)
        for name in self.data:
            yield from self.fits(name)
        yield self.negatives()
        yield from self.lists()

    def checks(self) -> Iterator[Row]:
        """Compare with the CPU; raises where an answer is wrong."""
        for tf32, device in self.devices.items():
            for name, check in (("trained", jobs.check_training), ("in closed form", jobs.check_fit)):
                said = (
                    f"scores as on the CPU: {check(device, tf32):.1e} of the largest apart, at most {jobs.SAME[tf32]:g}"
                )
                yield Row("Answers", f"NCEAutoRec {name}, {PRECISIONS[tf32]}", remarks=said)
        with self._any_backend() as backend:
            jobs.Negatives(backend, next(iter(self.data.values())), self.settings.negatives).check()
        yield Row("Answers", "negatives", remarks="the bits of the CPU")

    def epochs(self, name: str) -> Iterator[Row]:
        """Time an epoch of joint training, and PyTorch's where it is installed."""
        settings, peer, said = self.settings, None, ""
        model = far.NCEAutoRec.paper(mode="joint", factors=settings.factors, batch_size=settings.batch_size)
        for number, (tf32, device) in enumerate(self.devices.items()):
            with jobs.opened(device) as backend:
                work = Training(model, self.data[name], backend=backend)
                if number == 0:
                    peer, said = self._torch(work)
                seconds = self.wall(work.ours())
            title = f"epoch of NCEAutoRec, joint, {self._shape(name)}, {PRECISIONS[tf32]}"
            yield Row("Jobs", title, seconds, peer=peer, at_most=EPOCH_TARGETS[name], remarks=said)

    def _torch(self, work: Training) -> tuple[float | None, str]:
        """Return the seconds of the fastest variant of PyTorch, or None, and what is to be said of it."""
        device = self.settings.torch_device
        if importlib.util.find_spec("torch") is None:
            return None, "PyTorch is not installed"
        import torch  # noqa: PLC0415

        if device == "cuda" and not torch.cuda.is_available():
            return None, f"PyTorch {torch.__version__} finds no GPU"
        first, taken = work.ours()(), {}
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")  # TF32
        try:
            for variant, lookup in VARIANTS.items():
                jobs.check_losses(first, work.torch(lookup=lookup, device=device)())
                taken[variant] = self.wall(work.torch(lookup=lookup, device=device))
        finally:
            torch.set_float32_matmul_precision(before)
        best = min(taken, key=lambda variant: taken[variant])
        if device == "cuda":
            torch.cuda.empty_cache()
        return taken[best], f"peer: PyTorch {torch.__version__}, TF32, fused Adam, {best}; the same losses"

    def fits(self, name: str) -> Iterator[Row]:
        """Time the closed form, from interactions on the host and from such on the device."""
        train = self.data[name]
        for tf32, device in self.devices.items():
            with jobs.opened(device) as backend:
                there = backend.give(backend.put(backend.inputs.user_items("train", train)))
                for place, given in (("host", train), ("device", there)):
                    model = far.NCEAutoRec(factors=self.settings.factors, device="cuda")
                    seconds = self.wall(lambda m=model, g=given: m.fit(g))
                    title = f"closed-form fit, {self._shape(name)}, {PRECISIONS[tf32]}"
                    said = f"interactions on the {place}"
                    yield Row("Jobs", title, seconds, at_most=FIT_TARGETS[name], remarks=said)

    def negatives(self) -> Row:
        """Time the negatives of all users of the first set."""
        name, n_samples = next(iter(self.data)), self.settings.negatives
        with self._any_backend() as backend:
            seconds = self.wall(jobs.Negatives(backend, self.data[name], n_samples).ours)
        title = f"{n_samples} negatives for all users, {self._shape(name)}"
        return Row("Jobs", title, seconds, at_most=NEGATIVES_TARGET)

    def lists(self) -> Iterator[Row]:
        """Time the lists of all users of the last set, and the ranking of a tile."""
        settings, (name, train) = self.settings, list(self.data.items())[-1]
        for tf32, device in self.devices.items():
            with jobs.opened(device) as backend:
                model = far.NCEAutoRec(factors=settings.factors, device="cuda").fit(train)
                work = jobs.Lists(backend, model, train, settings.top)
                work.check()
                seconds, users = self.wall(work.recommend), train.shape[0]
                title = f"recommend, top {settings.top}, {self._shape(name)}, {PRECISIONS[tf32]}"
                said = f"{users / seconds:,.0f} users/s, histories and lists on the host"
                yield Row("Jobs", title, seconds, at_most=users / USERS_PER_SECOND, remarks=said)
                if tf32:
                    continue
                rows, scores = next(work.tiles())
                yield Row(
                    *("Jobs", f"ranking of {scores.shape[0]:,} users, {self._shape(name)}"),
                    self.wall(lambda w=work, r=rows, s=scores: w.rank(r, s)),
                    peer=self.wall(lambda w=work, r=rows, s=scores: w.rank_by_argpartition(r, s)),
                    at_least=TIMES_ARGPARTITION,
                    remarks="peer: cupy.argpartition of the same scores; the same lists",
                )

    def wall(self, call: Callable[[], Any]) -> float:
        """Return the median of the seconds that a caller waits."""
        call()  # compiles the kernels
        taken: list[float] = []
        while len(taken) < self.settings.fewest or (len(taken) < MOST and sum(taken) < self.settings.seconds):
            self.wait()
            start = time.perf_counter()
            call()
            self.wait()
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)

    def _any_backend(self) -> Any:
        return jobs.opened(self.devices.get(False) or next(iter(self.devices.values())))

    def _shape(self, name: str) -> str:
        users, items = self.data[name].shape
        return f"{name} ({users:,} × {items:,}; {self.data[name].nnz:,})"


# --- the program ------------------------------------------------------------------------------------------------------


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
    measurements = Measurements(
        devices, lambda: cupy.cuda.get_current_stream().synchronize(), sizes(options.shrink)
    )  # fmt: skip
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
