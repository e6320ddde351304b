"""Interactions as the samples of scikit-learn, so that its tools can hold out a part of each user's history."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import UserItems, check_user_items
from fastautorec.data import _identity as identity
from fastautorec.data._naming import locked
from fastautorec.data._splitting import split

HIDDEN_HALF = (0.5, 0.5)  # of a history, the odd item to the half that is known

IntArray = npt.NDArray[np.int64]


class Samples:
    """Interactions one by one: what scikit-learn cuts, while every part keeps all users and items.

    Its tools hold out samples, which are rows. In a user-item matrix a row is a user. Here a sample is an interaction,
    so that models are tested on what was held out of histories that they know, as by `split`. A model's ``fit`` takes a
    part as it takes Interactions, and ``score`` recommends from everything that is not in the part.

    They come in an order in which any run of consecutive ones has its share of every history. So ``cv=5``, which takes
    folds as samples come, holds out a part of each history too.

    Parameters
    ----------
    data : Interactions or scipy sparse (m, n)

    Attributes
    ----------
    shape : tuple of one int
        Number of samples, as ``len``.
    user_ids, item_ids : array or None
        Those of the data.

    Examples
    --------
    >>> from scipy import sparse
    >>> from fastautorec.model_selection import Samples
    >>> samples = Samples(sparse.csr_matrix([[1, 0, 1], [0, 1, 0]]))
    >>> samples
    <Samples: 3 of 3 interactions of 2 users and 3 items>
    >>> samples[[0, 2]]
    <Samples: 2 of 3 interactions of 2 users and 3 items>
    """

    timestamps = None

    def __init__(self, data: UserItems) -> None:
        self._whole = check_user_items("data", data)
        self.user_ids, self.item_ids = (
            None if (ids := identity.own_ids(data, axis)) is None else locked(ids)
            for axis in (identity.USERS, identity.ITEMS)
        )
        self._ids_given = (self.user_ids is not None, self.item_ids is not None)
        self._chosen = _spread(self._whole.row_lengths())

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def shape(self) -> tuple[int]:
        """Number of samples."""
        return (len(self),)

    def __getitem__(self, key: Any) -> Samples:
        """Return some of the samples, by number or mask."""
        rows = key[0] if isinstance(key, tuple) else key  # scikit-learn asks for [numbers, ...]
        return self._with(np.atleast_1d(self._chosen[rows]))

    def _with(self, chosen: IntArray) -> Samples:
        part = self.__new__(type(self))
        part.__dict__.update({name: value for name, value in vars(self).items() if name != "_csr"})
        part._chosen = chosen
        return part

    def _rest(self) -> Samples:
        """Return the interactions that are not among these."""
        left = np.ones(self._whole.nnz, bool)
        left[self._chosen] = False
        return self._with(np.flatnonzero(left))

    @cached_property
    def _csr(self) -> Csr:
        """The matrix of these interactions, of the shape of the whole."""
        own, kept = self._whole.rebased(), np.zeros(self._whole.nnz, bool)
        kept[self._chosen] = True
        before = np.concatenate(([0], np.cumsum(kept)))
        return Csr(before[own.indptr], own.indices[kept], None, own.n_cols)

    def _users(self) -> IntArray:
        """Return the row of each sample."""
        own = self._whole.rebased()
        return np.repeat(np.arange(own.shape[0]), own.row_lengths())[self._chosen]

    def __repr__(self) -> str:
        m, n = self._whole.shape
        return f"<Samples: {len(self):,} of {self._whole.nnz:,} interactions of {m:,} users and {n:,} items>"


def turns(users: IntArray, generator: np.random.Generator) -> IntArray:
    """Return the place of each interaction in a drawn order of its user's, int64, for the users of interactions."""
    order = np.lexsort((generator.random(len(users)), users))
    in_turn = np.empty(len(users), np.int64)
    in_turn[order] = np.arange(len(users)) - np.searchsorted(users[order], users[order])
    return in_turn


def _spread(lengths: IntArray) -> IntArray:
    """Return the numbers of all interactions in an order that spreads those of each user evenly, always the same."""
    generator, users = np.random.default_rng(0), np.repeat(np.arange(len(lengths)), lengths)
    places = (turns(users, generator) + generator.random(len(lengths))[users]) / lengths[users]
    return np.argsort(places, kind="stable")


def known_and_hidden(user_items: Any, y: Any = None) -> tuple[Any, Any]:
    """Return what is known of users and what is to be found.

    For samples, these are all others and the samples themselves; where ``y`` is given, ``user_items`` and ``y``; else
    the smaller half of each history is hidden, at random but always the same.
    """
    if y is not None:
        return user_items, y
    if isinstance(user_items, Samples):
        known = user_items._rest()
        tested = user_items._csr.row_lengths() > 0
        without = int((known._csr.row_lengths()[tested] == 0).sum())
        if 2 * without > tested.sum():
            raise ValueError(
                f"{without:,} of the {int(tested.sum()):,} users to test on have no other interactions, so that there "
                "is nothing to recommend from; hold out a part of each history, with cv=UserKFold(...)"
            )
        return known, user_items
    known, hidden = split(user_items, HIDDEN_HALF, by="random")
    return known, hidden
