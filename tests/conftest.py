"""Fixtures of all tests. FASTAUTOREC_TEST_SEED chooses another random seed; the header of the run prints it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import numpy as np
import pytest
from scipy import sparse

from fastautorec._backends import get_backend
from fastautorec._backends.protocol import Backend
from fastautorec._operations import Operations
from fastautorec.models import _session
from fastautorec.reference.pure import PureBackend

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


@pytest.fixture(params=["reference", "cpu"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return get_backend(request.param, num_threads=2)


@pytest.fixture(params=["reference", "cpu", "pure"])
def operations(request: pytest.FixtureRequest) -> Operations:
    return Operations(PureBackend() if request.param == "pure" else get_backend(request.param, 2))


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

        monkeypatch.setattr(_session, "validation_metric", scripted)
        return judged

    return start
