"""Where operations are done, by `device` and `num_threads`. Nothing above this room knows which device it runs on."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, cast

from fastautorec._checks import check_choice, check_int
from fastautorec._compute.addresses import threads_with_room
from fastautorec._compute.memory import device_number, is_on_device
from fastautorec._compute.protocol import Backend
from fastautorec.exceptions import BackendUnavailableError

__all__ = ["DEVICES", "get_backend", "resolve_num_threads", "simd_level", "usable_cpus"]

DEVICES = ("auto", "cpu", "cuda", "reference")
ENVIRONMENT_VARIABLE = "FASTAUTOREC_NUM_THREADS"
MAX_THREADS = 2**31 - 1
CGROUP = Path("/sys/fs/cgroup")
GROUPS = Path("/proc/self/cgroup")  # of this process

_log = logging.getLogger("fastautorec")
_resource: Any = importlib.import_module("resource") if os.name == "posix" else None


def get_backend(device: str = "auto", num_threads: int | None = None) -> Backend:
    """Return the backend for ``device``.

    Raises
    ------
    BackendUnavailableError
        If the device was asked for by name and cannot be used; "auto" takes what works.
    """
    threads = resolve_num_threads(num_threads)
    if device == "cpu":  # asked for at every request
        return _cpu(threads)
    numbered = re.fullmatch(r"cuda:(\d+)", device) if isinstance(device, str) else None
    if numbered:
        return _gpu(threads, int(numbered[1]))
    check_choice("device", device, DEVICES)
    if device == "auto":
        return _gpu(threads) if _gpu_works() else _cpu(threads)
    return _FACTORIES[device](threads)


def backend_of(arguments: Iterable[Any], num_threads: int | None = None) -> Backend:
    """Return the backend for the memory in which the arguments are: the GPU of the first that is on one, or the CPU."""
    threads = resolve_num_threads(num_threads)
    for argument in arguments:
        if is_on_device(argument):
            return _gpu(threads, device_number(argument))
    return _cpu(threads)


@cache
def _gpu_works() -> bool:
    """Return whether "auto" means the GPU, and log that choice once."""
    if importlib.util.find_spec("cupy") is None:
        return False
    try:
        _gpu(1)
    except BackendUnavailableError as error:
        _log.info("device='auto' takes the CPU: %s", error)
        return False
    _log.info("device='auto' takes the GPU")
    return True


def simd_level() -> str:
    """Return the vector instructions that the C++ core uses on this machine, such as "avx2".

    Raises
    ------
    ImportError
        If the native module cannot be loaded.
    """
    from fastautorec._compute import cpu  # noqa: PLC0415  loads the native module only when needed

    return cpu.simd_level()


@cache  # a backend of the CPU holds nothing but its number of threads
def _cpu(num_threads: int) -> Backend:
    from fastautorec._compute.cpu import CpuBackend  # noqa: PLC0415  loads the native module only when needed

    return CpuBackend(num_threads)


def _reference(num_threads: int) -> Backend:
    from fastautorec._compute.reference import ReferenceBackend  # noqa: PLC0415

    return ReferenceBackend(num_threads)


def _gpu(num_threads: int, ordinal: int = 0) -> Backend:
    from fastautorec._compute import cuda as parts  # noqa: PLC0415
    from fastautorec._compute.cuda.backend import CudaBackend  # noqa: PLC0415

    # The protocol says NumPy's arrays, and these are CuPy's.
    return cast(Backend, CudaBackend(parts.open_device(ordinal), num_threads))


_FACTORIES: dict[str, Callable[[int], Backend]] = {"cpu": _cpu, "reference": _reference, "cuda": _gpu}


# --- threads ----------------------------------------------------------------------------------------------------------


def resolve_num_threads(num_threads: int | None) -> int:
    """Return the given number of threads, or FASTAUTOREC_NUM_THREADS, or the number of usable processors."""
    wanted = _wanted_threads(num_threads)
    return threads_with_room(wanted) if _addresses_are_limited() else wanted


def _addresses_are_limited() -> bool:
    return _resource is not None and _resource.getrlimit(_resource.RLIMIT_AS)[0] != _resource.RLIM_INFINITY


def _wanted_threads(num_threads: int | None) -> int:
    if num_threads is not None:
        return check_int("num_threads", check_int("num_threads", num_threads, 1), 1, MAX_THREADS)
    setting = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if setting:
        if not (setting.isascii() and setting.isdigit() and len(setting) < 20 and 0 < int(setting) <= MAX_THREADS):
            raise ValueError(
                f"the environment variable {ENVIRONMENT_VARIABLE} must be an integer >= 1, got {setting!r}"
            )
        return int(setting)
    return usable_cpus()


def usable_cpus() -> int:
    """Return the number of processors that are worth a thread each, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(CGROUP, GROUPS)
    return allowed if quota is None else max(1, min(allowed, quota))


@cache
def _quota(root: Path, groups: Path) -> int | None:
    """Return the smallest quota of the group of this process and of those around it, rounded up, or None."""
    quotas = []
    try:
        lines = groups.read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return None
    for line in lines:
        _, controllers, name = line.split(":", 2)
        inside = Path(name.lstrip("/"))
        if not controllers:  # version 2
            quotas += [_read(root / group / "cpu.max") for group in (inside, *inside.parents)]
        elif "cpu" in controllers.split(","):
            for group in (inside, *inside.parents):
                folder = root / "cpu" / group
                quotas.append(_read(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"))
    known = [quota for quota in quotas if quota is not None]
    return min(known) if known else None


def _read(*paths: Path) -> int | None:
    """Return the quota that is written in one or two files: microseconds of work, and of the time for it."""
    try:
        quota, period = " ".join(path.read_text("ascii") for path in paths).split()
        return -(-int(quota) // int(period)) if int(quota) > 0 else None  # "max" and -1 mean no quota
    except (OSError, ValueError, ZeroDivisionError):
        return None
