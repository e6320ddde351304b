"""Public operations: functions that check what a user passes and call a backend."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from fastautorec._compute import backend_of
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend

P = ParamSpec("P")
R = TypeVar("R")

_operations: dict[str, Callable[..., Any]] = {}


def operation(arrays: int) -> Callable[[Callable[Concatenate[Backend, P], R]], Callable[P, R]]:
    """Make a public operation of a function whose first argument is the backend.

    The backend is that of the memory in which the first ``arrays`` of the other arguments are. It has ``num_threads``
    threads, an argument that the function leaves to this decorator.
    """

    def decorate(function: Callable[Concatenate[Backend, P], R]) -> Callable[P, R]:
        names = function.__code__.co_varnames[1 : arrays + 1]

        def call(*args: Any, num_threads: int | None = None, **options: Any) -> R:
            given = [*args[:arrays], *(options[name] for name in names if name in options)]
            backend = backend_of(given, num_threads)
            with backend.active():
                return function(backend, *args, **options)

        _operations[function.__name__] = function
        return _public(call, function, "backend")

    return decorate


def bound_to(backend: Backend, module: str) -> dict[str, Callable[..., Any]]:
    """Return the public operations on one backend, as functions of ``module``."""
    return {name: _bind(function, backend, module) for name, function in _operations.items()}


def take(backend: Backend, check: str, name: str, given: Any, **options: Any) -> Csr:
    """Return a checked sparse matrix where the operations want it."""
    backend.inputs.check_place(name, given)
    return backend.put(getattr(backend.inputs, check)(name, given, **options))


def _bind(function: Callable[..., Any], backend: Backend, module: str) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        if "num_threads" in options:
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument 'num_threads'")
        return function(backend, *args, **options)

    bound = _public(call, function, "backend", "num_threads")
    bound.__module__, bound.__doc__ = module, str(function.__doc__).replace("    num_threads : int, optional\n", "")
    return bound


def _public(call: Callable[..., R], function: Callable[..., Any], *hidden: str) -> Callable[..., R]:
    """Return ``call`` with the name, docstring and signature of a function, but without some arguments."""
    update_wrapper(call, function)
    signature = inspect.signature(function)
    shown = [parameter for name, parameter in signature.parameters.items() if name not in hidden]
    call.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    return call
