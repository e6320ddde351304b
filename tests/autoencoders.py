"""Small models of the AutoRec family for tests: every model in every mode of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from devices import CUDA, host
from lanes import marked
from scipy import sparse

import fastautorec as far
from fastautorec._training.epochs import MODES
from fastautorec.models._autoencoder import Autoencoder

SAMPLING = {"negatives": 30}
TWO_HEADED = {
    f"{cls.__name__} {mode}": (cls, {"mode": mode, **params})
    for cls, params in ((far.NSAutoRec, SAMPLING), (far.NCEAutoRec, {}))
    for mode in MODES
}
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "AutoRec": (far.AutoRec, {}),
    "OHNSAutoRec": (far.OHNSAutoRec, SAMPLING),
    **TWO_HEADED,
}

FEW = ("AutoRec", "OHNSAutoRec", "NSAutoRec joint", "NCEAutoRec full")  # each phase and loss once

every_device = pytest.mark.parametrize("device", ["reference", "cpu", *CUDA], indirect=True)
every_case = pytest.mark.parametrize(  # the reference and the emulation take their time
    ("case", "device"),
    [
        *((case, "cpu") for case in CASES),
        *((case, "reference") for case in FEW),
        *(marked((case, "cuda-emulated")) for case in FEW),
        *(pytest.param(case, "cuda", marks=pytest.mark.gpu) for case in CASES),
    ],
    indirect=["device"],
)


def make(case: str, **params: Any) -> Autoencoder:
    """Return an unfitted model for 60 users and 40 items, trained in 12 steps of 4 batches, the last one smaller."""
    cls, own = CASES[case]
    common = {"factors": 8, "init": "random", "epochs": 3, "batch_size": 16, "learning_rate": 0.01, "num_threads": 1}
    return cls(**{**common, **own, **params})


def train_and_held_out() -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return training and validation interactions of 60 users and 40 items."""
    return far.split(far.datasets.synthetic(60, 40, 600, random_state=1), ratios=(0.7, 0.3), by="random")


def same_bits(one: Autoencoder, other: Autoencoder) -> None:
    """Check that two models have the same fitted arrays."""
    for name in type(one)._arrays:
        np.testing.assert_array_equal(host(getattr(one, name)), host(getattr(other, name)), err_msg=name)


TRAIN, HELD_OUT = train_and_held_out()

Records = list[dict[str, Any]]


def metric_of(model: Any, metric: str = "NDCG", k: int = 40) -> float:
    """Return a validation metric."""
    return far.evaluate(model, TRAIN, HELD_OUT, k=k)[metric].mean


def epochs_of(history: Records) -> list[tuple[str, int]]:
    """Return phase and epoch of each record."""
    return [(record["phase"], record["epoch"]) for record in history]


def phase_of(history: Records, phase: str) -> Records:
    """Return the records of a phase's training, without those of exact solutions."""
    return [record for record in history if record["phase"] == phase and "regularization" not in record]


def with_solver(case: str, solver: str, **params: Any) -> Any:
    """Return an unfitted model with a solver, where it has one to choose."""
    return make(case, **({"solver": solver} if " " in case else {}), **params)


def numbered(phase: str, *epochs: int) -> list[tuple[str, int]]:
    """Return what `epochs_of` gives for these epochs of a phase."""
    return [(phase, epoch) for epoch in epochs]
