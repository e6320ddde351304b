"""Every hint to install an extra names one that brings the package."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import fastautorec
from fastautorec.cli._doctor import OPTIONAL

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
SOURCES = sorted(Path(fastautorec.__file__).parent.rglob("*.py"))
DISTRIBUTION = {"faiss": "faiss-cpu"}
pytestmark = pytest.mark.skipif(not PROJECT.exists(), reason="the project file is not beside the tests")


def extras() -> dict[str, set[str]]:
    """Return the packages of each extra."""
    described = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["optional-dependencies"]
    return {extra: {re.split(r"[^\w-]", one)[0] for one in needed} for extra, needed in described.items()}


def hints() -> set[tuple[str, str]]:
    """Return package and extra of each call of ``require`` that names both, and of the list of the doctor."""
    calls = [
        node
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require"
    ]
    named = {(call.args[0], call.args[2]) for call in calls if len(call.args) > 2}
    pairs = {(ast.literal_eval(module), ast.literal_eval(extra)) for module, extra in named}
    return {(module.partition(".")[0], extra) for module, extra in pairs} | set(OPTIONAL.items())


def test_the_extra_of_a_hint_has_the_package() -> None:
    brought, found = extras(), hints()
    assert {("pyarrow", "data"), ("optuna", "tune"), ("torch", "baselines")} <= found
    for package, extra in found:
        assert DISTRIBUTION.get(package, package) in brought[extra], (package, extra)


def test_extras_of_messages_are_there() -> None:
    text = "\n".join(source.read_text("utf-8") for source in SOURCES)
    named = set(re.findall(r"fastautorec\[(\w+)\]", text))
    assert "plot" in named
    assert named <= set(extras())
