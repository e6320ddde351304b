"""NCE-AutoRec: an embedding from the closed-form NCE target, a squared-error head for the recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np  # noqa: F401  an annotation of __init__, which is resolved in this module

from fastautorec._checks import Default, check_choice, check_real
from fastautorec._compute.protocol import NUMERATORS
from fastautorec._training.fit import Objective
from fastautorec._training.losses import weighted_error
from fastautorec.models._autoencoder import PAPER, Autoencoder
from fastautorec.models._docs import document

FACTORS = Default(300)
TARGETS = ("nce", "power")


@document
@dataclass(repr=False, eq=False, kw_only=True)
class NCEAutoRec(Autoencoder):
    r"""Two-headed AutoRec with the closed-form noise contrastive estimation target.

    .. math:: \min \; \sum_i \lVert r_i - D h_i - g_i c \rVert^2 + \omega \lVert r^*_i - E h_i - g_i e \rVert^2
              + \lambda (\lVert W \rVert^2 + \lVert D \rVert^2 + \lVert E \rVert^2)

    with h_i = act(Wᵀx_i + b). The embedding head E fits the de-popularised target R* (Eq. 16), the prediction head D
    the interactions R, both by squared error over all items. By default nothing is trained by gradients (``epochs=0``):
    the encoder W comes from the truncated SVD of R*, the best linear embedding of that rank, and the prediction head is
    the ridge regression

    .. math:: \min_{D, c} \; \mathbb{E} \sum_i \lVert r_i - D h_i - g_i c \rVert^2 + \lambda \lVert D \rVert^2
              + \lambda_0 \lVert c \rVert^2

    where the expectation runs over random masks of the input (``dropout``).

    Parameters
    ----------
    factors : int
        Hidden units k; by default 300, or as many as the data have singular vectors for with ``init="svd"``.
    beta : float
        Popularity sensitivity: β of Eq. 16, or the exponent of the item popularity with ``target="power"``.
    numerator : {"users", "interactions"}
        P of Eq. 16: the number of users, or of interactions as printed in the paper.
    target : {"nce", "power"}
        What the embedding fits: max(log P − β log pop, 0), or pop^(−β), on the pattern of R.
    spectrum_power : float
        Exponent p of the singular values in W = V Σᵖ. With p = 1 and linear units W is found up to a rotation, which
        changes no score and no distance between users or items.
    user_weight : float
        α ≥ 0: row i of the embedding target is scaled by ‖r_i‖₁^(−α), so that heavy users do not dominate.
    {two-headed parameters}
    {shared parameters}

    Attributes
    ----------
    {fitted attributes}

    Notes
    -----
    Beyond the paper: row weights, relative λ, exact input dropout, the shrinking intercept, the popularity discount,
    and exact solutions in place of gradient descent; `paper` gives the model without them.
    ``numerator="interactions"`` is Eq. 16 as printed; with users in its place, as in the code published with the
    parent method, validation NDCG was no worse on any of three data sets.

    References
    ----------
    Zhou, Wu, Mai and Sanner (2020), "Noise Contrastive Estimation for Autoencoding-based One-Class Collaborative
    Filtering", arXiv:2008.01246: Eq. 9 and 14-17, section 3.3.

    Examples
    --------
    >>> import fastautorec as far
    >>> packages = far.datasets.load_example()
    >>> model = far.NCEAutoRec(factors=64).fit(packages)
    >>> ids, scores = model.recommend(packages.user_items[:2], N=3)
    >>> ids.shape
    (2, 3)
    """

    factors: int = field(default=FACTORS, kw_only=False)
    mode: str = "limited"
    solver: str = "exact"
    embedding_weight: float = 1.0
    beta: float = 1.0
    numerator: str = "users"
    target: str = "nce"
    activation: str = "identity"
    init: str = "svd"
    spectrum_power: float = 1.0
    user_weight: float = 0.5
    dropout: float = 0.7
    popularity_discount: float = 0.15
    epochs: int | Sequence[int] = 0

    _from_sums: ClassVar[bool] = True
    _paper: ClassVar[dict[str, Any]] = {**PAPER, "solver": "gradient", "numerator": "interactions", "user_weight": 0.0}

    def _objective(self) -> Objective:
        embedding = partial(
            weighted_error, target=self.target, beta=self.beta, numerator=self.numerator, user_weight=self.user_weight
        )
        return Objective.two_headed(embedding, self.mode, self.solver, self.embedding_weight, self.spectrum_power)

    def _check_params(self) -> None:
        self._check_two_heads(self.mode, self.solver, self.embedding_weight)
        check_real("beta", self.beta)
        check_choice("numerator", self.numerator, NUMERATORS)
        check_choice("target", self.target, TARGETS)
        check_real("spectrum_power", self.spectrum_power)
        check_real("user_weight", self.user_weight, 0)
