"""Backends: how operations are done. Nothing above this package knows which device it runs on."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, cast

from fastautorec._checks import check_choice
from fastautorec._compute.memory import device_number, is_on_device
from fastautorec._compute.protocol import Backend
from fastautorec._compute.threads import resolve_num_threads
from fastautorec.exceptions import BackendUnavailableError

__all__ = ["DEVICES", "get_backend", "simd_level"]

DEVICES = ("auto", "cpu", "cuda", "reference")

_log = logging.getLogger("fastautorec")


def get_backend(device: str = "auto", num_threads: int | None = None) -> Backend:
    """Return the backend for ``device``.

    Raises
    ------
    BackendUnavailableError
        If the device was asked for by name and cannot be used; "auto" takes what works.
    """
    threads = resolve_num_threads(num_threads)
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


def _cpu(num_threads: int) -> Backend:
    from fastautorec._compute.cpu import CpuBackend  # noqa: PLC0415  loads the native module only when needed

    return CpuBackend(num_threads)


def _reference(num_threads: int) -> Backend:
    from fastautorec._compute.reference import ReferenceBackend  # noqa: PLC0415

    return ReferenceBackend(num_threads)


def _gpu(num_threads: int, ordinal: int = 0) -> Backend:
    from fastautorec._compute import cuda as parts  # noqa: PLC0415
    from fastautorec._compute.cuda.backend import CudaBackend  # noqa: PLC0415

    return cast(Backend, CudaBackend(parts.open_device(ordinal), num_threads))  # its arrays are not NumPy's


_FACTORIES: dict[str, Callable[[int], Backend]] = {"cpu": _cpu, "reference": _reference, "cuda": _gpu}
