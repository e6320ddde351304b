"""Backends: how operations are done. Nothing above this package knows which device it runs on."""

from __future__ import annotations

from collections.abc import Callable

from fastautorec._backends.protocol import Backend
from fastautorec._parallel import resolve_num_threads
from fastautorec._validation import check_choice
from fastautorec.exceptions import BackendUnavailableError

__all__ = ["DEVICES", "get_backend", "simd_level"]

DEVICES = ("auto", "cpu", "cuda", "reference")


def get_backend(device: str = "auto", num_threads: int | None = None) -> Backend:
    """Return the backend for ``device``.

    Raises
    ------
    BackendUnavailableError
        If the device was asked for by name and cannot be used; "auto" takes what works.
    """
    check_choice("device", device, DEVICES)
    threads = resolve_num_threads(num_threads)
    name = "cpu" if device == "auto" else device
    return _FACTORIES[name](threads)


def simd_level() -> str:
    """Return the vector instructions that the C++ core uses on this machine, such as "avx2".

    Raises
    ------
    ImportError
        If the native module cannot be loaded.
    """
    from fastautorec._backends import cpu  # noqa: PLC0415  loads the native module only when needed

    return cpu.simd_level()


def _cpu(num_threads: int) -> Backend:
    from fastautorec._backends.cpu import CpuBackend  # noqa: PLC0415  loads the native module only when needed

    return CpuBackend(num_threads)


def _reference(num_threads: int) -> Backend:
    from fastautorec._backends.reference import ReferenceBackend  # noqa: PLC0415

    return ReferenceBackend(num_threads)


def _cuda(num_threads: int) -> Backend:
    raise BackendUnavailableError(
        "`device` is 'cuda', but this version has no CUDA kernels yet; use device='cpu' (or 'auto')"
    )


_FACTORIES: dict[str, Callable[[int], Backend]] = {"cpu": _cpu, "reference": _reference, "cuda": _cuda}
