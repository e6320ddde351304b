"""Fixtures of all tests. FASTAUTOREC_TEST_SEED chooses another random seed; the header of the run prints it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest

from fastautorec._backends import get_backend
from fastautorec._backends.protocol import Backend

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
