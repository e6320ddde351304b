"""The rules of the structure: dependencies point down, every operation exists everywhere, importing is light."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import fastautorec
import fastautorec as far
from fastautorec import ops, reference
from fastautorec._compute import DEVICES
from fastautorec._compute.cpu import CpuBackend
from fastautorec._compute.cuda.backend import CudaBackend
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.protocol import Backend
from fastautorec._compute.reference import ReferenceBackend
from fastautorec.models._autoencoder import Autoencoder
from fastautorec.reference import pure

PACKAGE = Path(fastautorec.__file__).parent
DEVICE_FREE = sorted([*PACKAGE.glob("models/*.py"), *PACKAGE.glob("_training/*.py")])
BACKEND_NAMES = set(DEVICES) - {"auto"}
# From the top of the house to its ground: a room imports from those after it only.
ROOMS = (
    *("__main__", "cli", "experiments", "tuning", "plots", "io", "distributed", "model_selection", "baselines"),
    *("models", "_training", "evaluation", "rerank", "datasets", "data", "reference", "ops", "_compute", "_files"),
    *("_extras", "_types", "_printed", "_checks", "exceptions", "_version"),
)
HEAVY = {
    *("cupy", "cupyx", "dask", "distributed", "faiss", "hnswlib", "implicit", "matplotlib", "onnx", "onnxruntime"),
    *("optuna", "polars", "pandas", "pyarrow", "pyspark", "ray", "sklearn", "torch", "usearch"),
}
OPERATIONS = sorted(
    {name for name in vars(Backend) if inspect.isfunction(getattr(Backend, name)) and name[0] != "_"} - {"with_threads"}
)


def relative(path):
    return str(path.relative_to(PACKAGE))


def test_only_backends_import_devices():
    """ruff knows what may be imported where, and looks at all modules at once."""
    ruff, settings = Path(sys.executable).with_name("ruff"), PACKAGE.parents[1] / "pyproject.toml"
    if not ruff.exists() or not settings.exists():
        pytest.skip("needs ruff and the repository; pip install --group dev")
    command = [ruff, "check", "--no-cache", "--config", settings, "--select", "TID251", PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "All checks passed!\n"), done.stdout + done.stderr


@pytest.mark.parametrize("path", DEVICE_FREE, ids=relative)
def test_models_do_not_know_their_device(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Compare):
            constants = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
            assert not constants & BACKEND_NAMES, f"line {node.lineno} tests the name of a backend"


def room_of(module):
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=relative)
def test_a_room_imports_from_those_below_it(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        modules = [node.module] if isinstance(node, ast.ImportFrom) else []
        if modules == ["fastautorec"]:
            modules = [f"fastautorec.{alias.name}" for alias in node.names]
        for room in {room_of(module) for module in modules if module.startswith("fastautorec")}:
            if room not in (own, "_core", "__version__"):
                assert ROOMS.index(room) > ROOMS.index(own), f"line {node.lineno} imports from {room}"


def test_every_room_has_its_place():
    there = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__", "__pycache__", "cuda"} == set(ROOMS)


@pytest.mark.parametrize("cls", [far.AutoRec, far.NCEAutoRec, far.NSAutoRec, far.OHNSAutoRec])
def test_the_family_has_three_levels(cls):
    assert cls.__bases__ == (Autoencoder,)
    assert Autoencoder.__bases__ == (far.models.Recommender,)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_exists_everywhere(name):
    expected = list(inspect.signature(getattr(Backend, name)).parameters)[1:]
    for implementation in (ReferenceBackend, CpuBackend, CudaBackend, pure.PureBackend):
        assert list(inspect.signature(getattr(implementation, name)).parameters)[1:] == expected
    for module in (ops, reference, pure):
        assert name in module.__all__


def test_operations_are_all_there_is():
    assert sorted(ops.__all__) == OPERATIONS
    assert sorted({*reference.__all__} - {"pure"}) == OPERATIONS
    assert sorted(pure.__all__) == OPERATIONS


def loaded_by(statement):
    program = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return {name.split(".")[0] for name in json.loads(done.stdout)}


def test_importing_is_light():
    """The package imports nothing but itself, and with all its names in use none of the extras."""
    assert not loaded_by("import fastautorec") & (HEAVY | {"numpy", "scipy", "threadpoolctl", "tqdm"})
    everything = loaded_by("from fastautorec import *")
    assert not everything & HEAVY
    assert {"numpy", "scipy"} <= everything


def test_type_checkers_see_the_names_that_are_imported_late():
    """Of each public name: the import that type checkers read, and the one at its first use."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    seen = {}
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        if node.module.startswith("fastautorec"):
            home = importlib.import_module(node.module)
            seen |= {alias.name: getattr(home, alias.name) for alias in node.names}
    assert sorted(seen) == sorted(far.__all__)
    for name, value in seen.items():
        if name in far._HOMES:
            vars(far).pop(name, None)  # so that this is the first use
        assert getattr(far, name) is value
    assert set(far.__all__) <= set(dir(far))
    with pytest.raises(AttributeError, match="module 'fastautorec' has no attribute 'Autorec'"):
        far.Autorec  # noqa: B018


def test_the_stub_names_every_native_function():
    from fastautorec import _core

    stub = ast.parse((PACKAGE / "_core.pyi").read_text("utf-8"))
    declared = {node.name for node in stub.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert declared == {name for name in vars(_core) if name[0] != "_"}


def test_the_stub_names_every_argument():
    from fastautorec import _core

    for node in ast.parse((PACKAGE / "_core.pyi").read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            signature = getattr(_core, node.name).__doc__.splitlines()[0]
            assert re.findall(r"(\w+): ", signature) == [argument.arg for argument in node.args.args]


@pytest.mark.parametrize("function", [far.evaluate, far.NCEAutoRec.recommend, far.tuning.tune, ops.encode])
def test_libraries_can_read_the_signatures(function):
    hints = typing.get_type_hints(function)
    assert hints.get("user_items", hints.get("train")) == UserItems
