"""Autoencoders trained by negative sampling: one-headed, and two-headed with a squared-error head that recommends."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: F401  an annotation of __init__, which is resolved in this module
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np  # noqa: F401  an annotation of __init__, which is resolved in this module

from fastautorec._checks import check_bool, check_choice, check_int, check_real
from fastautorec._compute.protocol import OUTPUTS
from fastautorec._compute.sampling import MAX_SAMPLES
from fastautorec._training.epochs import EMBEDDING
from fastautorec._training.fit import Objective
from fastautorec._training.losses import LossOf, negative_sampling
from fastautorec.models._autoencoder import PAPER, Autoencoder
from fastautorec.models._docs import document


@document
@dataclass(repr=False, eq=False, kw_only=True)
class OHNSAutoRec(Autoencoder):
    r"""One-headed autoencoder trained by negative sampling, the ablation that shows what the second head is for.

    .. math:: \max \; \sum_i \Bigl[ r_i^\top o_i - \frac{\lVert r_i \rVert_1}{\lVert s_i \rVert_1} s_i^\top o_i \Bigr]
              - \lambda (\lVert W \rVert^2 + \lVert E \rVert^2), \qquad o_i = \mathrm{out}(E h_i + g_i e)

    with s_i the counts of N items drawn anew in every epoch, with replacement, by popularity.
    It recommends from that head.

    Parameters
    ----------
    factors : int
        Hidden units k; by default 200, or as many as the data have singular vectors for with ``init="svd"``.
    {sampling parameters}
    {shared parameters}

    Attributes
    ----------
    {fitted attributes}

    Notes
    -----
    As for `AutoRec`. An exact start (``init="svd"``) solves for the NCE target, the closed form of the logarithmic loss
    (Eq. 10 and 14), with the numerator and the row weights that `NCEAutoRec` has by default.

    References
    ----------
    Zhou, Wu, Mai and Sanner (2020), "Noise Contrastive Estimation for Autoencoding-based One-Class Collaborative
    Filtering", arXiv:2008.01246: Eq. 6 and 7, section 4.2.1.

    Examples
    --------
    >>> import fastautorec as far
    >>> packages = far.datasets.load_example()
    >>> model = far.OHNSAutoRec(factors=32, negatives=100, epochs=2).fit(packages)
    """

    negatives: int = 500
    power: float = 1.0
    exclude_positives: bool = False
    out: str = "sigmoid"

    def _objective(self) -> Objective:
        return Objective.one_headed(EMBEDDING, sampling_loss(self))

    def _check_params(self) -> None:
        super()._check_params()
        check_sampling(self)


@document
@dataclass(repr=False, eq=False, kw_only=True)
class NSAutoRec(Autoencoder):
    r"""Two-headed AutoRec whose embedding is trained by negative sampling, its recommendations by squared error.

    .. math:: \min \; \sum_i \lVert r_i - D h_i - g_i c \rVert^2
              - \omega \Bigl[ r_i^\top o_i - \frac{\lVert r_i \rVert_1}{\lVert s_i \rVert_1} s_i^\top o_i \Bigr]
              + \lambda (\lVert W \rVert^2 + \lVert D \rVert^2 + \lVert E \rVert^2)

    with h_i = act(Wᵀx_i + b), o_i = out(E h_i + g_i e), and s_i the counts of N items drawn anew in every epoch, with
    replacement, by popularity. Both heads share the encoder; the modes say in which order they train it.

    Parameters
    ----------
    factors : int
        Hidden units k; by default 200, or as many as the data have singular vectors for with ``init="svd"``.
    {sampling parameters}
    {two-headed parameters}
    {shared parameters}

    Attributes
    ----------
    {fitted attributes}

    Notes
    -----
    Eq. 7 is to be maximised, so the sum of Eq. 5 takes it with a minus sign. Beyond the paper: as for `AutoRec`, and ω
    and the exact prediction head; `paper` gives the model without them.

    References
    ----------
    Zhou, Wu, Mai and Sanner (2020), "Noise Contrastive Estimation for Autoencoding-based One-Class Collaborative
    Filtering", arXiv:2008.01246: Eq. 5-8, section 3.3.

    Examples
    --------
    >>> import fastautorec as far
    >>> packages = far.datasets.load_example()
    >>> model = far.NSAutoRec(factors=32, negatives=100, epochs=2).fit(packages)
    """

    mode: str = "full"
    solver: str = "exact"
    embedding_weight: float = 1.0
    negatives: int = 500
    power: float = 1.0
    exclude_positives: bool = False
    out: str = "sigmoid"

    _paper: ClassVar[dict[str, Any]] = {**PAPER, "solver": "gradient"}

    def _objective(self) -> Objective:
        return Objective.two_headed(sampling_loss(self), self.mode, self.solver, self.embedding_weight)

    def _check_params(self) -> None:
        self._check_two_heads(self.mode, self.solver, self.embedding_weight)
        check_sampling(self)


def sampling_loss(model: OHNSAutoRec | NSAutoRec) -> LossOf:
    """Return the loss of Eq. 7 with the parameters of a model."""
    return partial(
        negative_sampling, negatives=model.negatives, power=model.power, exclude_positives=model.exclude_positives,
        out=model.out,
    )  # fmt: skip


def check_sampling(model: OHNSAutoRec | NSAutoRec) -> None:
    """Raise unless the parameters of negative sampling are usable."""
    check_int("negatives", model.negatives, 1, MAX_SAMPLES)
    check_real("power", model.power, 0)
    check_bool("exclude_positives", model.exclude_positives)
    check_choice("out", model.out, OUTPUTS)
    if model.out == "identity" and any(model._epochs_of_phases()) and model.weight_decay == 0:
        raise ValueError(
            "`out`='identity' needs `weight_decay` > 0: Eq. 7 grows without bound with a linear output; "
            "use out='sigmoid', or a weight_decay"
        )
