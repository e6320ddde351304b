"""Fixtures of all tests. FASTAUTOREC_TEST_SEED chooses another random seed; the header of the run prints it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import hypothesis
import numpy as np
import pytest
from cuda_emulation import EmulatedDevice
from devices import CUDA, OnDevice, OperationsOnDevice, backend_of_name, emulated_backend, operations_on
from scipy import sparse

from fastautorec._compute import cuda as _cuda
from fastautorec._compute import get_backend
from fastautorec._compute.cuda.backend import CudaBackend
from fastautorec._compute.protocol import Backend
from fastautorec.data import _readers as readers
from fastautorec.exceptions import BackendUnavailableError
from fastautorec.models import _autoencoder
from fastautorec.reference.pure import PureBackend

collect_ignore = ["faults"]  # a lane of its own: make test-faults
SEED = int(os.environ.get("FASTAUTOREC_TEST_SEED", "20200803"))

hypothesis.settings.register_profile("fastautorec", deadline=None, print_blob=True)
hypothesis.settings.load_profile("fastautorec")


def pytest_report_header() -> str:
    return f"random seed: {SEED} (FASTAUTOREC_TEST_SEED)"


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_works() -> Iterator[None]:
    """Undo what shells do to background jobs: there SIGINT is ignored, and tests of Ctrl-C would wait for ever."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-gpu", action="store_true", help="fail where there is no GPU, in place of skipping")


@pytest.fixture(params=["reference", "cpu", *CUDA])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend, on NumPy arrays."""
    return cast(Backend, OnDevice(gpu(request))) if request.param == "cuda" else backend_of_name(request.param)


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a device for models; "cuda" is a GPU or, for "cuda-emulated", the emulation in its place."""
    if request.param == "cuda-emulated":
        emulation = EmulatedDevice()
        monkeypatch.setattr(_cuda, "open_device", lambda ordinal: emulation)
        return "cuda"
    if request.param == "cuda":
        gpu(request)
    return str(request.param)


@pytest.fixture
def emulation(monkeypatch: pytest.MonkeyPatch) -> EmulatedDevice:
    """An emulated device that "cuda" stands for."""
    emulated = EmulatedDevice()
    monkeypatch.setattr(_cuda, "open_device", lambda ordinal: emulated)
    return emulated


def gpu(request: pytest.FixtureRequest) -> CudaBackend:
    try:
        return cast(CudaBackend, get_backend("cuda", 2))
    except BackendUnavailableError as error:
        if request.config.getoption("--require-gpu"):
            raise
        pytest.skip(f"needs a GPU: {error}")


@pytest.fixture(params=["reference", "cpu", "pure", *CUDA])
def operations(request: pytest.FixtureRequest) -> Any:
    """The public functions on every backend, with NumPy and SciPy for arguments and results."""
    if request.param in ("reference", "cpu", "pure"):
        return operations_on(PureBackend() if request.param == "pure" else get_backend(request.param, 2))
    cuda = emulated_backend() if request.param == "cuda-emulated" else gpu(request)
    return OperationsOnDevice(cuda)


@pytest.fixture
def matrix() -> sparse.csr_matrix:
    values = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 1, 0]], np.float32)
    return sparse.csr_matrix(values)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], list[dict[str, Any]]]:
    """Replace the metric by scripted values, and keep the attributes that were judged."""

    def start(values: list[float]) -> list[dict[str, Any]]:
        judged: list[dict[str, Any]] = []

        def scripted(model: Any, fitted: dict[str, Any], run: Any, metric: str) -> float:
            judged.append({name: np.copy(fitted[name]) for name in ("encoder_", "decoder_")})
            return values[len(judged) - 1]

        monkeypatch.setattr(_autoencoder, "validation_metric", scripted)
        return judged

    return start


@pytest.fixture(params=["polars", "plain"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both readers of rating files."""
    if request.param == "polars" and not readers._POLARS:
        pytest.skip("polars is not installed")
    monkeypatch.setattr(readers, "_POLARS", request.param == "polars")
    return str(request.param)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file into a folder of its own and return its path."""

    def write_file(text: str | bytes, name: str = "ratings.txt") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file
