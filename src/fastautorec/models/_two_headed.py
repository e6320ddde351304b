"""What the two-headed models share: the modes of training."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_choice, check_real
from fastautorec._training.epochs import EMBEDDING, MODES, PREDICTION, Phase
from fastautorec._training.losses import Loss, SquaredError
from fastautorec.models._autoencoder import PAPER, AutoencoderModel

SOLVERS = ("exact", "gradient")


@dataclass(repr=False, eq=False, kw_only=True)
class TwoHeadedModel(AutoencoderModel):
    """Base of NS-AutoRec and NCE-AutoRec: an embedding head, and a squared-error head that recommends."""

    mode: str = "limited"
    solver: str = "exact"
    embedding_weight: float = 1.0

    _paper: ClassVar[dict[str, Any]] = {**PAPER, "solver": "gradient"}

    @abstractmethod
    def _embedding_loss(self, counts: npt.NDArray[np.int64], m: int, seed: int) -> Loss:
        """Return the loss of the embedding head."""

    def _losses(self, counts: npt.NDArray[np.int64], m: int, seed: int) -> dict[str, Loss]:
        return {EMBEDDING: self._embedding_loss(counts, m, seed), PREDICTION: SquaredError()}

    def _phases(self) -> tuple[Phase, ...]:
        return MODES[self.mode]

    def _head_weight(self, head: str) -> float:
        return self.embedding_weight if head == EMBEDDING else 1.0

    def _solves_prediction(self) -> bool:
        return self.solver == "exact"

    def _check_params(self) -> None:
        check_choice("mode", self.mode, tuple(MODES))
        check_choice("solver", self.solver, SOLVERS)
        super()._check_params()
        check_real("embedding_weight", self.embedding_weight, 0)
