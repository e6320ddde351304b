"""Small models of the AutoRec family for tests: every model in every mode of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec._training import MODES
from fastautorec.models._autoencoder import AutoencoderModel

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

every_device = pytest.mark.parametrize("device", ["reference", "cpu"])
every_case = pytest.mark.parametrize(  # the reference takes its time
    ("case", "device"), [(case, "cpu") for case in CASES] + [(case, "reference") for case in FEW]
)


def make(case: str, **params: Any) -> AutoencoderModel:
    """Return an unfitted model for 60 users and 40 items, trained in 12 steps of 4 batches, the last one smaller."""
    cls, own = CASES[case]
    common = {"factors": 8, "init": "random", "epochs": 3, "batch_size": 16, "learning_rate": 0.01, "num_threads": 1}
    return cls(**{**common, **own, **params})


def train_and_held_out() -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return training and validation interactions of 60 users and 40 items."""
    return far.split(far.datasets.synthetic(60, 40, 600, random_state=1), ratios=(0.7, 0.3), by="random")


def same_bits(one: AutoencoderModel, other: AutoencoderModel) -> None:
    """Check that two models have the same fitted arrays."""
    for name in type(one)._arrays:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
