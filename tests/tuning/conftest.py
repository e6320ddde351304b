"""Data that the searches are made on."""

from __future__ import annotations

import pytest
from scipy import sparse

import fastautorec as far


@pytest.fixture(scope="module")
def parts() -> tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix]:
    return far.split(far.datasets.synthetic(150, 60, 2500, random_state=2), by="random")
