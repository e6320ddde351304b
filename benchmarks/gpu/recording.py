"""Which kernels a piece of work launches, and how long each of them runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.clock import Clock

PLUG_EVERY = 100  # launches: so many the host hands out while the device is kept busy
GEMM = "gemm"


class RecordingDevice:
    """A device that stamps the beginning and the end of each launch and each product."""

    def __init__(self, device: Any, clock: Clock) -> None:
        self._device, self._clock = device, clock
        self.spans: list[tuple[str, bool, Any, Any]] = []  # name, whether a plug is before it, beginning, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def launch(self, file: str, kernel: str, blocks: int, threads: int, *arguments: Any, shared: int = 0) -> None:
        with self._span(kernel):
            self._device.launch(file, kernel, blocks, threads, *arguments, shared=shared)

    def gemm(self, *arguments: Any, **options: Any) -> None:
        with self._span(GEMM):
            self._device.gemm(*arguments, **options)

    @contextmanager
    def _span(self, name: str) -> Iterator[None]:
        plugged = len(self.spans) % PLUG_EVERY == 0
        if plugged:
            self._clock.plug()
        first = self._clock.stamp()
        yield
        self.spans.append((name, plugged, first, self._clock.stamp()))


@dataclass(frozen=True)
class Profile:
    """What a piece of work consists of.

    Attributes
    ----------
    kernels : dict of str to (int, float)
        Launches and seconds on the device, the longest first.
    between : float
        Seconds between them: CuPy's own kernels, copies, and what a kernel takes to begin.
    """

    kernels: dict[str, tuple[int, float]]
    between: float

    @property
    def busy(self) -> float:
        """Seconds of the device."""
        return self.between + sum(seconds for _, seconds in self.kernels.values())


def profile(device: RecordingDevice, clock: Clock, work: Callable[[], Any]) -> Profile:
    """Return what ``work`` launches on ``device``; it has run before, so that nothing is compiled any more."""
    device.spans.clear()
    work()
    launches: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    between, before = 0.0, None
    for name, plugged, first, last in device.spans:
        launches[name] += 1
        seconds[name] += clock.between(first, last)
        if before is not None and not plugged:
            between += clock.between(before, first)
        before = last
    longest = sorted(seconds, key=lambda name: -seconds[name])
    return Profile({name: (launches[name], seconds[name]) for name in longest}, between)
