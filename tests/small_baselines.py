"""Small models trained by PyTorch, and data for them; importing this needs no PyTorch."""

from __future__ import annotations

from typing import Any

from scipy import sparse

import fastautorec as far
from fastautorec.baselines.cdae import CDAE
from fastautorec.baselines.cml import CML
from fastautorec.baselines.vaecf import VAECF

SMALL: dict[type, dict[str, Any]] = {
    CML: {"factors": 6, "epochs": 2, "batch_size": 400, "negatives": 4},
    CDAE: {"factors": 6, "epochs": 2, "batch_size": 50},
    VAECF: {"factors": 4, "hidden": 8, "epochs": 2, "batch_size": 50, "annealing": 1},
}


def make(cls: type, **params: Any) -> Any:
    return cls(**{**SMALL[cls], "device": "cpu", "num_threads": 1, **params})


def data() -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return training and held-out interactions with a structure that can be learned."""
    return far.split(far.datasets.synthetic(200, 50, 4000, random_state=3), (0.7, 0.3), by="random")
