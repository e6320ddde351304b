"""What is measured, in which sizes, and against which targets."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastautorec as far
from benchmarks.gpu import jobs
from benchmarks.gpu.clock import FEWEST, ROUNDS, WALL_SECONDS, Clock, on_device, wall
from benchmarks.gpu.operations import OPERATIONS, Inputs, Rates
from benchmarks.gpu.recording import Profile, RecordingDevice, profile
from benchmarks.gpu.table import Row
from fastautorec._compute.cuda.backend import CudaBackend

EPOCH_TARGETS = {"goodbooks": 0.0105, "ml-20m": 0.032}  # seconds on an H100
FIT_TARGETS = {"goodbooks": 0.06, "ml-20m": 0.15}
NEGATIVES_TARGET = 0.02
USERS_PER_SECOND = 1e6
TIMES_ARGPARTITION = 5
PRECISIONS = {False: "float32", True: "TF32"}
PRODUCTS = ("mse_head, a step",)  # operations that TF32 makes faster


@dataclass(frozen=True)
class Settings:
    """Sizes of a run; the defaults are the official ones."""

    shapes: dict[str, tuple[int, int, int]] = field(
        default_factory=lambda: {name: far.datasets.PAPER_SHAPES[name] for name in ("goodbooks", "ml-20m")}
    )
    factors: int = 200
    batch_size: int = 1024
    negatives: int = 500
    top: int = jobs.LISTED
    product: int = 8192  # rows and columns of the matrices whose product gives the rate
    seconds: float = WALL_SECONDS
    rounds: tuple[int, int] = (FEWEST, ROUNDS)  # of jobs, at least, and of operations
    torch_device: str = "cuda"


class Measurements:
    """All results of a run.

    Parameters
    ----------
    devices : dict of bool to device
        The same GPU with products in float32 (False) and in TF32 (True), or with one of them.
    clock : Clock
    settings : Settings
    """

    def __init__(self, devices: dict[bool, Any], clock: Clock, settings: Settings) -> None:
        self.devices, self.clock, self.settings = devices, clock, settings
        self.data = {name: jobs.data(shape) for name, shape in settings.shapes.items()}
        self.first = next(iter(settings.shapes))

    def rows(self) -> Iterator[Row]:
        """Yield every result as soon as it is there."""
        yield from self.checks()
        for name in self.settings.shapes:
            yield from self.epochs(name)
        for name in self.settings.shapes:
            yield from self.fits(name)
        yield self.negatives()
        yield from self.lists()
        rates = {tf32: self.rates(device) for tf32, device in self.devices.items()}
        yield from self.operations(rates)
        for tf32 in self.devices:
            yield from self.profile(tf32)

    # --- answers ------------------------------------------------------------------------------------------------------

    def checks(self) -> Iterator[Row]:
        """Compare with the CPU; raises where an answer is wrong."""
        for tf32, device in self.devices.items():
            for name, check in (("trained", jobs.check_training), ("in closed form", jobs.check_fit)):
                difference, most = check(device, tf32), jobs.SAME[tf32]
                yield Row(
                    *("Answers", f"NCEAutoRec {name}, {PRECISIONS[tf32]}"),
                    remarks=f"scores as on the CPU: {difference:.1e} of the largest apart, at most {most:g}",
                )
        with self._backend() as backend:
            jobs.Negatives(backend, self.data[self.first], self.settings.negatives).check()
        yield Row("Answers", "negatives", remarks="the bits of the CPU")

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def epochs(self, name: str) -> Iterator[Row]:
        """Time an epoch of joint training, and PyTorch's where it is installed."""
        settings, train, peer, said = self.settings, self.data[name], None, ""
        model = jobs.joint(settings.factors, settings.batch_size)
        for number, tf32 in enumerate(self.devices):
            with self._backend(tf32) as backend:
                work = jobs.Epochs(backend, model, train)
                if number == 0:
                    peer, said = self._torch(work)
                seconds = self._wall(work.ours())
            yield Row(
                *("Jobs", f"epoch of NCEAutoRec, joint, {self._shape(name)}, {PRECISIONS[tf32]}", seconds),
                peer=peer,
                at_most=EPOCH_TARGETS[name],
                remarks=said,
            )

    def _torch(self, work: jobs.Epochs) -> tuple[float | None, str]:
        """Return the seconds of the fastest variant of PyTorch, or None, and what is to be said of it."""
        device = self.settings.torch_device
        if importlib.util.find_spec("torch") is None:
            return None, "PyTorch is not installed"
        import torch  # noqa: PLC0415

        from benchmarks.gpu import torch_peer  # noqa: PLC0415

        if device == "cuda" and not torch.cuda.is_available():
            return None, f"PyTorch {torch.__version__} finds no GPU"
        first, taken = work.ours()(), {}
        with torch_peer.precision(tf32=True):
            for variant, lookup in torch_peer.VARIANTS.items():
                jobs.check_losses(first, work.torch(device, lookup)(), tf32=True)
                taken[variant] = self._wall(work.torch(device, lookup))
        best = min(taken, key=lambda variant: taken[variant])
        if device == "cuda":
            torch.cuda.empty_cache()
        return taken[best], f"peer: PyTorch {torch.__version__}, TF32, fused Adam, {best}; the same losses"

    def fits(self, name: str) -> Iterator[Row]:
        """Time the closed form, from interactions on the host and from such on the device."""
        train, settings = self.data[name], self.settings
        for tf32, device in self.devices.items():
            with jobs.opened(device) as backend:
                there = backend.give(backend.put(backend.inputs.user_items("train", train)))
                for place, given in (("host", train), ("device", there)):
                    model = far.NCEAutoRec(factors=settings.factors, device="cuda")
                    seconds = self._wall(lambda m=model, g=given: m.fit(g))
                    title = f"closed-form fit, {self._shape(name)}, {PRECISIONS[tf32]}"
                    yield Row(
                        *("Jobs", title, seconds), at_most=FIT_TARGETS[name], remarks=f"interactions on the {place}"
                    )

    def negatives(self) -> Row:
        settings = self.settings
        with self._backend() as backend:
            work = jobs.Negatives(backend, self.data[self.first], settings.negatives)
            seconds = self._wall(work.ours)
        title = f"{settings.negatives} negatives for all users, {self._shape(self.first)}"
        return Row("Jobs", title, seconds, at_most=NEGATIVES_TARGET)

    def lists(self) -> Iterator[Row]:
        """Time the lists of all users of the largest set, and the ranking of a tile."""
        settings, name = self.settings, list(self.settings.shapes)[-1]
        train = self.data[name]
        for tf32, device in self.devices.items():
            with jobs.opened(device) as backend:
                model = far.NCEAutoRec(factors=settings.factors, device="cuda").fit(train)
                work = jobs.Lists(backend, model, train, settings.top)
                work.check()
                seconds = self._wall(work.recommend)
                title = f"recommend, top {settings.top}, {self._shape(name)}, {PRECISIONS[tf32]}"
                yield Row(
                    *("Jobs", title, seconds),
                    at_most=train.shape[0] / USERS_PER_SECOND,
                    remarks=f"{train.shape[0] / seconds:,.0f} users/s, histories and lists on the host",
                )
                if tf32:
                    continue
                rows, scores = next(work.tiles())
                yield Row(
                    *("Jobs", f"ranking of {scores.shape[0]:,} users, {self._shape(name)}"),
                    self._on_device(lambda w=work, r=rows, s=scores: w.rank(r, s)),
                    peer=self._on_device(lambda w=work, r=rows, s=scores: w.rank_by_argpartition(r, s)),
                    at_least=TIMES_ARGPARTITION,
                    remarks="peer: cupy.argpartition of the same scores; the same lists",
                )

    # --- operations and kernels ---------------------------------------------------------------------------------------

    def rates(self, device: Any) -> Rates:
        """Measure what the device can do."""
        size = self.settings.product
        with device.active():
            # random numbers: a GPU computes with ones faster than with anything of use
            factor = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
            a, b, out = (device.to_device(factor) for _ in range(3))
            seconds = self._on_device(lambda: device.gemm(a, b, out))
        return Rates(self.clock.bandwidth, 2 * size**3 / seconds)

    def operations(self, rates: dict[bool, Rates]) -> Iterator[Row]:
        """Time each operation against its floor, and tell which kernels it launches."""
        section = f"Operations, {self._shape(self.first)}, B = {self.settings.batch_size}, k = {self.settings.factors}"
        yield Row(section, "memory copy", remarks=f"{self.clock.bandwidth / 1e9:,.0f} GB/s, read and written")
        for tf32, rate in rates.items():
            said = f"{rate.flops / 1e12:,.1f} TFLOP/s"
            yield Row(section, f"matrix product of {self.settings.product:,} rows, {PRECISIONS[tf32]}", remarks=said)
        for tf32, device in self.devices.items():
            recording = RecordingDevice(device, self.clock)
            with recording.active():
                plain, recorded = self._inputs(device), self._inputs(recording)
                for name, operation in OPERATIONS.items():
                    if tf32 and len(self.devices) > 1 and name not in PRODUCTS:
                        continue
                    seconds = self._on_device(lambda o=operation, i=plain: o.run(i))
                    operation.run(recorded)
                    found = profile(recording, self.clock, lambda o=operation, i=recorded: o.run(i))
                    sizes = plain.sizes
                    figures = {"moved": operation.moved, "gathered": operation.gathered}
                    said = [f"{f(sizes) / 1e6:,.3g} MB {what}" for what, f in figures.items() if f(sizes)]
                    if operation.flop(sizes):
                        said.append(f"{operation.flop(sizes) / 1e9:,.3g} GFLOP")
                    yield Row(
                        *(section, f"{name}{', TF32' if tf32 else ''}", seconds, rates[tf32].floor(operation, sizes)),
                        remarks="; ".join([*said, _kernels(found)]),
                    )

    def _inputs(self, device: Any) -> Inputs:
        settings = self.settings
        return Inputs(
            CudaBackend(device), self.data[self.first], settings.factors, settings.batch_size, settings.negatives,
            settings.top,
        )  # fmt: skip

    def profile(self, tf32: bool) -> Iterator[Row]:
        """Tell what an epoch consists of."""
        settings, device = self.settings, RecordingDevice(self.devices[tf32], self.clock)
        section = f"One epoch, {self._shape(self.first)}, {PRECISIONS[tf32]}"
        model = jobs.joint(settings.factors, settings.batch_size)
        with device.active():
            epoch = jobs.Epochs(CudaBackend(self.devices[tf32]), model, self.data[self.first]).ours()
            whole = self._wall(epoch)
            recorded = jobs.Epochs(CudaBackend(device), model, self.data[self.first]).ours()
            recorded()
            found = profile(device, self.clock, recorded)
        for name, (launches, seconds) in found.kernels.items():
            said = f"{launches:,} launches, {seconds / whole:.0%} of the epoch"
            yield Row(section, f"`{name}`", seconds, remarks=said)
        yield Row(section, "between them", found.between, remarks="CuPy's own kernels, copies, starts of kernels")
        gaps = max(whole - found.busy, 0.0)
        yield Row(section, "launch gaps", gaps, remarks=f"{gaps / whole:.0%}: the device waits for the host")
        yield Row(section, "the epoch", whole)

    def _wall(self, call: Callable[[], Any]) -> float:
        return wall(self.clock, call, self.settings.seconds, self.settings.rounds[0])

    def _on_device(self, call: Callable[[], Any]) -> float:
        return on_device(self.clock, call, self.settings.rounds[1])

    def _backend(self, tf32: bool = False) -> Any:
        return jobs.opened(self.devices.get(tf32) or next(iter(self.devices.values())))

    def _shape(self, name: str) -> str:
        users, items = self.data[name].shape
        return f"{name} ({users:,} × {items:,}; {self.data[name].nnz:,})"


def _kernels(found: Profile) -> str:
    """Return the kernels of an operation, the longest first."""
    return ", ".join(
        f"`{name}`{f' × {launches}' if launches > 1 else ''} {seconds * 1e3:.3g} ms"
        for name, (launches, seconds) in found.kernels.items()
    )
