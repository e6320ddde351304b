"""A splitter and a scorer for scikit-learn, which need no scikit-learn themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_int, check_metric, check_random_state, kind
from fastautorec._training.run import held_out_metric
from fastautorec.data._samples import Samples, known_and_hidden, turns

IntArray = npt.NDArray[np.int64]


class UserKFold:
    """Folds of each user's interactions: every one is held out once, and each fold has its share of every history.

    The interactions of a user are shuffled and dealt to the folds in turn, beginning with one drawn at random: a user
    with h of them has ⌊h/k⌋ or ⌈h/k⌉ in each of the k folds.

    Parameters
    ----------
    n_splits : int
        k, at least 2.
    random_state : int or numpy.random.Generator
        An integer gives the same folds in every call, as searches need.

    Examples
    --------
    >>> from scipy import sparse
    >>> from fastautorec.model_selection import Samples, UserKFold
    >>> samples = Samples(sparse.csr_matrix([[1, 1, 1, 1], [0, 1, 1, 0]]))
    >>> [len(test) for train, test in UserKFold(n_splits=2).split(samples)]
    [3, 3]
    """

    def __init__(self, n_splits: int = 5, random_state: int | np.random.Generator = 0) -> None:
        self.n_splits = check_int("n_splits", n_splits, 2)
        check_random_state(random_state)
        self.random_state = random_state

    def __repr__(self) -> str:
        return f"UserKFold(n_splits={self.n_splits}, random_state={self.random_state!r})"

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of folds."""
        return self.n_splits

    def split(self, X: Samples, y: object = None, groups: object = None) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield the numbers of the samples to fit on and to test on, for each fold.

        Raises
        ------
        TypeError
            If ``X`` are no `Samples`.
        """
        if not isinstance(X, Samples):
            raise TypeError(
                f"`X` must be Samples, got {kind(X)}; pass fastautorec.model_selection.Samples(data), of which each is "
                "an interaction"
            )
        users, generator = X._users(), check_random_state(self.random_state)
        if self.n_splits > len(users):
            raise ValueError(
                f"`n_splits`={self.n_splits} is more than the {len(users)} interactions of `X`; take fewer"
            )
        in_turn = turns(users, generator)
        first = generator.integers(self.n_splits, size=int(users.max(initial=-1)) + 1)
        fold = (in_turn + first[users]) % self.n_splits
        for number in range(self.n_splits):
            yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


class Scorer:
    """A metric of `evaluate` for ``scoring=``: the mean over the users, larger is better.

    With `Samples`, all samples that are not held out are the histories, and the held-out ones have to be found. With a
    matrix, whose rows are users, a random half of each history is hidden, as in a model's ``score``.

    Parameters
    ----------
    metric : str
        For example "NDCG" or "R-Precision" (of lists of 50), "Recall@20", "MRR@10", "AUC@100".

    Examples
    --------
    >>> import fastautorec as far
    >>> data = far.datasets.load_example()
    >>> round(far.model_selection.Scorer("HitRate@10")(far.Popularity().fit(data), data), 2)
    0.58
    """

    def __init__(self, metric: str = "NDCG") -> None:
        check_metric(metric)
        self.metric = metric

    def __repr__(self) -> str:
        return f"Scorer({self.metric!r})"

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Return the metric of a fitted model."""
        return held_out_metric(estimator, *known_and_hidden(X, y), self.metric)
