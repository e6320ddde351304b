"""Public docstrings have the form of numpydoc, and public signatures say types."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import fastautorec
from fastautorec.distributed import tree

# What is not asked for. Of each: why.
LEFT_OUT = {
    "PR01": "parameters that every scikit-learn estimator has, or that the summary explains",
    "PR02": "parameters of a dataclass that it inherits",
    "PR03": "a model's own parameters come before those that all models share",
    "PR07": "a type such as `Interactions (m, n)` can say all there is to say",
    "PR08": "a description may begin with a letter of a formula, such as λ",
    "ES01": "a summary may say all there is to say",
    "SA01": "names in the text are links",
    "EX01": "examples are asked for below",
}
AS_IN = (
    r"^ *[\w, ]*\b{}\b[\w, ]*\n +As in "  # "device, num_threads", and on the next line "As in ..." says the types too
)


def rooms() -> Iterator[Any]:
    yield fastautorec
    for module in pkgutil.iter_modules(fastautorec.__path__, "fastautorec."):
        name = module.name.rpartition(".")[2]
        if name[0] != "_" and name != "cli":
            yield importlib.import_module(module.name)


def public() -> dict[str, Any]:
    """Return functions, classes and what classes have, each once, by the first name that it has."""
    found: dict[str, Any] = {}
    for room in rooms():
        for name in getattr(room, "__all__", ()):
            value = getattr(room, name)
            if (inspect.isclass(value) or inspect.isroutine(value)) and value not in found.values():
                found[f"{room.__name__}.{name}"] = value
    seen = set()
    for name, value in list(found.items()):
        for attribute in dir(value) if inspect.isclass(value) else ():
            member = inspect.getattr_static(value, attribute)
            home = getattr(getattr(value, attribute), "__module__", None) or ""
            if (
                attribute[0] != "_"
                and inspect.isroutine(member)
                and home.startswith("fastautorec")
                and member not in seen
            ):
                seen.add(member)
                found[f"{name}.{attribute}"] = getattr(value, attribute)
    return found


PUBLIC = public()


def faults(name: str) -> Iterator[str]:
    validate = importlib.import_module("numpydoc.validate").validate
    text = inspect.getdoc(PUBLIC[name]) or ""
    for code, message in validate(name)["errors"]:
        if code in LEFT_OUT:
            continue
        if code in ("RT01", "YD01") and text.startswith(("Return ", "Yield ")):
            continue  # the summary says what comes back, and the annotation its type
        parameter = re.search(r'^Parameter "(\w+)" has no type', message)
        if parameter and re.search(AS_IN.format(parameter[1]), text, flags=re.MULTILINE):
            continue
        yield f"{name}: {code} {message}"


def test_docstrings_are_valid() -> None:
    pytest.importorskip("numpydoc", reason="numpydoc checks the docstrings")
    assert [fault for name in PUBLIC for fault in faults(name)] == []


def test_functions_and_models_have_an_example() -> None:
    """Results, errors and protocols have none: no user makes them."""
    for name, value in PUBLIC.items():
        is_model = inspect.isclass(value) and issubclass(value, fastautorec.models.Recommender)
        is_function = inspect.isfunction(value) and "." not in value.__qualname__
        if (is_model or is_function) and value not in (fastautorec.models.Recommender, tree):
            assert ">>> " in (value.__doc__ or ""), name


def test_signatures_say_types() -> None:
    """Nothing takes or returns Any, but for keywords that are parameters of models and for what engines bring back."""
    for name, value in PUBLIC.items():
        if name.startswith("fastautorec.distributed.Engine.") or (
            inspect.isclass(value) and issubclass(value, Exception)
        ):
            continue
        signature = inspect.signature(value)
        kinds = [p.annotation for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        for kind in [*kinds, signature.return_annotation]:
            assert "Any" not in str(kind).split(" | "), f"{name}{signature}"
