"""AutoRec: an autoencoder with one head and squared error."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: F401  an annotation of __init__, which is resolved in this module
from dataclasses import dataclass
from typing import ClassVar

import numpy as np  # noqa: F401  an annotation of __init__, which is resolved in this module

from fastautorec._training.epochs import PREDICTION
from fastautorec._training.fit import Objective
from fastautorec._training.losses import squared_error
from fastautorec.models._autoencoder import Autoencoder
from fastautorec.models._docs import document


@document
@dataclass(repr=False, eq=False, kw_only=True)
class AutoRec(Autoencoder):
    r"""Autoencoder of the interactions, trained by squared error over all items.

    .. math:: \min_{W, b, D, c} \; \sum_i \lVert r_i - D h_i - g_i c \rVert^2
              + \lambda (\lVert W \rVert^2 + \lVert D \rVert^2), \qquad h_i = \mathrm{act}(W^\top x_i + b)

    with x_i the history r_i, scaled and masked as the parameters say.

    Parameters
    ----------
    factors : int
        Hidden units k; by default 200, or as many as the data have singular vectors for with ``init="svd"``.
    {shared parameters}

    Attributes
    ----------
    {fitted attributes}

    Notes
    -----
    Beyond the paper: input of unit length, input dropout, the intercept's share, the exact start, the popularity
    discount; `paper` gives the model without them. Early stopping on validation data is our reading of "converged".

    References
    ----------
    Sedhain, Menon, Sanner and Xie (2015), "AutoRec: autoencoders meet collaborative filtering". Eq. 8 of
    arXiv:2008.01246.

    Examples
    --------
    >>> import fastautorec as far
    >>> packages = far.datasets.load_example()
    >>> model = far.AutoRec(factors=32, epochs=2).fit(packages)
    >>> ids, scores = model.recommend(packages.user_items[:2], N=3)
    >>> ids.shape
    (2, 3)
    """

    _from_sums: ClassVar[bool] = True

    def _objective(self) -> Objective:
        return Objective.one_headed(PREDICTION, squared_error)
