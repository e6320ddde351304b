"""Autoencoders trained by negative sampling: one-headed, and two-headed with a squared-error head that recommends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._backends.protocol import OUTPUTS
from fastautorec._losses import Loss, NegativeSampling, SquaredError, item_weights
from fastautorec._sampling import MAX_SAMPLES, make_sampler, popularity_weights
from fastautorec._training import EMBEDDING, Phase
from fastautorec._validation import check_bool, check_choice, check_int, check_real
from fastautorec.models._autoencoder import PAPER, AutoencoderModel
from fastautorec.models._docs import document
from fastautorec.models._two_headed import TwoHeadedModel

if TYPE_CHECKING:
    from typing_extensions import Self


def negative_sampling(
    model: OHNSAutoRec | NSAutoRec, counts: npt.NDArray[np.int64], m: int, seed: int
) -> NegativeSampling:
    """Return the loss of Eq. 7 for a model's parameters."""
    sampler = make_sampler(popularity_weights(counts, model.power), model.negatives)
    start = SquaredError(item_weights(counts, m), user_weight=0.5)
    return NegativeSampling(sampler, model.out, model.exclude_positives, seed, start)


def check_sampling(model: OHNSAutoRec | NSAutoRec) -> None:
    """Raise if a parameter of negative sampling has the wrong kind or value."""
    check_int("negatives", model.negatives, 1, MAX_SAMPLES)
    check_real("power", model.power, 0)
    check_bool("exclude_positives", model.exclude_positives)
    check_choice("out", model.out, OUTPUTS)
    if model.out == "identity" and any(model._epochs_of_phases()) and model.weight_decay == 0:
        raise ValueError(
            "`out`='identity' needs `weight_decay` > 0: Eq. 7 grows without bound with a linear output; "
            "use out='sigmoid', or a weight_decay"
        )


@document
@dataclass(repr=False, eq=False, kw_only=True)
class OHNSAutoRec(AutoencoderModel):
    r"""One-headed autoencoder trained by negative sampling, the ablation that shows what the second head is for.

    .. math:: \max \; \sum_i \Bigl[ r_i^\top o_i - \frac{\lVert r_i \rVert_1}{\lVert s_i \rVert_1} s_i^\top o_i \Bigr]
              - \lambda (\lVert W \rVert^2 + \lVert E \rVert^2), \qquad o_i = \mathrm{out}(E h_i + g_i e)

    with s_i the counts of N items drawn anew in every epoch, with replacement, by popularity.
    It recommends from that head.

    Parameters
    ----------
    factors : int
        Hidden units k.
    negatives : int
        N, draws for each user and epoch.
    power : float
        Items are drawn by popularity to this power: 1 is Eq. 6, 0 uniform over all items.
    exclude_positives : bool
        Draw among the items that the user does not have (the paper draws among all).
    out : {"sigmoid", "logsigmoid", "tanh", "identity"}
        Output o of the head. The paper does not name it; its text reads as outputs in [0, 1], "sigmoid". "logsigmoid"
        is log σ(z) for positives and −log σ(−z) for negatives (Eq. 3). "identity" has no maximum without a penalty.
    {shared parameters}

    Attributes
    ----------
    {fitted attributes}

    Notes
    -----
    As for `AutoRec`; an exact start (``init="svd"``) solves the closed form of Eq. 14, the NCE target.

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

    output_head: ClassVar[str] = EMBEDDING

    @classmethod
    def paper(cls, **overrides: Any) -> Self:
        """Return the model as the paper trains it: random start, Adam, relu, plain input, batches of 100."""
        return cls(**{**PAPER, **overrides})

    def _losses(self, counts: npt.NDArray[np.int64], m: int, seed: int) -> dict[str, Loss]:
        return {EMBEDDING: negative_sampling(self, counts, m, seed)}

    def _phases(self) -> tuple[Phase, ...]:
        return (Phase(EMBEDDING, ((EMBEDDING,),)),)

    def _check_params(self) -> None:
        super()._check_params()
        check_sampling(self)


@document
@dataclass(repr=False, eq=False, kw_only=True)
class NSAutoRec(TwoHeadedModel):
    r"""Two-headed AutoRec whose embedding is trained by negative sampling, its recommendations by squared error.

    .. math:: \min \; \sum_i \lVert r_i - D h_i - g_i c \rVert^2
              - \omega \Bigl[ r_i^\top o_i - \frac{\lVert r_i \rVert_1}{\lVert s_i \rVert_1} s_i^\top o_i \Bigr]
              + \lambda (\lVert W \rVert^2 + \lVert D \rVert^2 + \lVert E \rVert^2)

    with h_i = act(Wᵀx_i + b), o_i = out(E h_i + g_i e), and s_i the counts of N items drawn anew in every epoch, with
    replacement, by popularity. Both heads share the encoder; the modes say in which order they train it.

    Parameters
    ----------
    factors : int
        Hidden units k.
    negatives : int
        N, draws for each user and epoch.
    power : float
        Items are drawn by popularity to this power: 1 is Eq. 6, 0 uniform over all items.
    exclude_positives : bool
        Draw among the items that the user does not have (the paper draws among all).
    out : {"sigmoid", "logsigmoid", "tanh", "identity"}
        Output o of the embedding head; see `OHNSAutoRec`.
    {two-headed parameters}
    {shared parameters}

    Attributes
    ----------
    {fitted attributes}

    Notes
    -----
    Beyond the paper: input of unit length, input dropout, the intercept's share, ω, the exact prediction head.

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
    negatives: int = 500
    power: float = 1.0
    exclude_positives: bool = False
    out: str = "sigmoid"

    @classmethod
    def paper(cls, **overrides: Any) -> Self:
        """Return the model as the paper trains it: random start, Adam, relu, plain input, batches of 100."""
        return cls(**{**PAPER, "solver": "gradient", **overrides})

    def _embedding_loss(self, counts: npt.NDArray[np.int64], m: int, seed: int) -> Loss:
        return negative_sampling(self, counts, m, seed)

    def _check_params(self) -> None:
        super()._check_params()
        check_sampling(self)
