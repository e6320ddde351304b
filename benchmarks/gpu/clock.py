"""Time on a device and around it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any, Protocol

PLUG_BYTES = 256 << 20  # of the copies that keep a GPU busy; they also empty its L2 cache
PLUG_SECONDS = 5e-3  # in which the host hands out more than a hundred launches
ROUNDS = 21
FEWEST, MOST = 5, 50  # rounds of what is timed by the host
WALL_SECONDS = 3.0  # that they may take in all


class Clock(Protocol):
    """Marks points in the stream of launches of a device.

    Attributes
    ----------
    bandwidth : float
        Bytes per second of a copy, those read and those written.
    """

    bandwidth: float

    def stamp(self) -> Any:
        """Return a mark of this point of the stream."""

    def between(self, first: Any, last: Any) -> float:
        """Return the seconds between two marks; waits for the second one."""

    def plug(self) -> None:
        """Keep the device busy for a while, so that what is launched meanwhile runs without gaps."""

    def wait(self) -> None:
        """Wait for the device."""


class EventClock:
    """CUDA events in the current stream."""

    def __init__(self, cupy: Any) -> None:
        """Allocate what is copied, and find out how many copies take long enough."""
        self._cupy = cupy
        self._from, self._to = (cupy.zeros(PLUG_BYTES, cupy.uint8) for _ in range(2))
        self._copies = 1
        self.plug()  # the first one loads the library
        seconds = statistics.median(self._copy() for _ in range(ROUNDS))
        self.bandwidth = 2 * PLUG_BYTES / seconds
        self._copies = math.ceil(PLUG_SECONDS / seconds)

    def stamp(self) -> Any:
        event = self._cupy.cuda.Event()
        event.record()
        return event

    def between(self, first: Any, last: Any) -> float:
        last.synchronize()
        return self._cupy.cuda.get_elapsed_time(first, last) / 1e3

    def plug(self) -> None:
        for _ in range(self._copies):
            self._cupy.copyto(self._to, self._from)

    def wait(self) -> None:
        self._cupy.cuda.get_current_stream().synchronize()

    def _copy(self) -> float:
        first = self.stamp()
        self._cupy.copyto(self._to, self._from)
        return self.between(first, self.stamp())


class HostClock:
    """The time of the host, for devices that do all work at once, as the emulation does."""

    bandwidth = 1e10  # of a processor, about

    def stamp(self) -> float:
        return time.perf_counter()

    def between(self, first: float, last: float) -> float:
        return last - first

    def plug(self) -> None:
        """Do nothing."""

    def wait(self) -> None:
        """Do nothing."""


def on_device(clock: Clock, call: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Return the median of the seconds that the device spends on a call, whatever the host needs to launch it."""
    call()  # compiles the kernels
    spans = []
    for _ in range(rounds):
        clock.plug()
        first = clock.stamp()
        call()
        spans.append((first, clock.stamp()))
    return statistics.median(clock.between(*span) for span in spans)


def wall(clock: Clock, call: Callable[[], Any], seconds: float = WALL_SECONDS, fewest: int = FEWEST) -> float:
    """Return the median of the seconds that somebody waits for a call."""
    call()  # compiles the kernels
    taken: list[float] = []
    while len(taken) < fewest or (len(taken) < MOST and sum(taken) < seconds):
        clock.wait()
        start = time.perf_counter()
        call()
        clock.wait()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
