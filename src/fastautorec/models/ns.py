"""Autoencoders trained by negative sampling: one-headed, and two-headed with a squared-error head that recommends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_bool, check_choice, check_int, check_real
from fastautorec._compute.protocol import OUTPUTS
from fastautorec._compute.sampling import MAX_SAMPLES, make_sampler, popularity_weights
from fastautorec._training.epochs import EMBEDDING, Phase
from fastautorec._training.losses import Loss, NegativeSampling, SquaredError, item_weights
from fastautorec.models._autoencoder import AutoencoderModel
from fastautorec.models._docs import document
from fastautorec.models._two_headed import TwoHeadedModel


@dataclass(repr=False, eq=False, kw_only=True)
class SamplingModel(AutoencoderModel):
    """Base of the models with a head that is trained by negative sampling."""

    negatives: int = 500
    power: float = 1.0
    exclude_positives: bool = False
    out: str = "sigmoid"

    def _negative_sampling(self, counts: npt.NDArray[np.int64], m: int, seed: int) -> NegativeSampling:
        """Return the loss of Eq. 7."""
        sampler = make_sampler(popularity_weights(counts, self.power), self.negatives)
        start = SquaredError(item_weights(counts, m), user_weight=0.5)
        return NegativeSampling(sampler, self.out, self.exclude_positives, seed, start)

    def _check_params(self) -> None:
        super()._check_params()
        check_int("negatives", self.negatives, 1, MAX_SAMPLES)
        check_real("power", self.power, 0)
        check_bool("exclude_positives", self.exclude_positives)
        check_choice("out", self.out, OUTPUTS)
        if self.out == "identity" and any(self._epochs_of_phases()) and self.weight_decay == 0:
            raise ValueError(
                "`out`='identity' needs `weight_decay` > 0: Eq. 7 grows without bound with a linear output; "
                "use out='sigmoid', or a weight_decay"
            )


@document
@dataclass(repr=False, eq=False, kw_only=True)
class OHNSAutoRec(SamplingModel):
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

    output_head: ClassVar[str] = EMBEDDING

    def _losses(self, counts: npt.NDArray[np.int64], m: int, seed: int) -> dict[str, Loss]:
        return {EMBEDDING: self._negative_sampling(counts, m, seed)}

    def _phases(self) -> tuple[Phase, ...]:
        return (Phase(EMBEDDING, ((EMBEDDING,),)),)


@document
@dataclass(repr=False, eq=False, kw_only=True)
class NSAutoRec(SamplingModel, TwoHeadedModel):
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

    def _embedding_loss(self, counts: npt.NDArray[np.int64], m: int, seed: int) -> Loss:
        return self._negative_sampling(counts, m, seed)
