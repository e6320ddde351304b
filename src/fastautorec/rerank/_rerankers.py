"""Re-rankers: variety, caps for groups, exploration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_int, check_random_state, check_real, kind
from fastautorec._compute.labelled import labels_of, places_of_items
from fastautorec._compute.protocol import FloatArray, IdArray
from fastautorec._types import Id
from fastautorec.rerank._apply import Places, Request, mixed

BLOCK_BYTES = 16 << 20  # of vectors that are compared together


class MMR:
    """Maximal marginal relevance [1]_: each place goes to the item that is good and unlike those above it.

    With λ = 1 − ``strength``, rel the relevance and S the items that are listed already, the next one is

        argmaxᵢ  λ relᵢ − (1 − λ) max_{j ∈ S} cos(i, j),

    where the maximum over no items is 0, and of equal values the candidate that comes first wins. The relevance is the
    score, brought for each user to 1 for the best and 0 for the worst candidate, so that the strength means the same
    for every model; the cosine is the one of `similar_items`. The number of candidates thus has a part in the result.

    Parameters
    ----------
    strength : float
        In [0, 1]: 0 leaves lists as they are, 1 takes no notice of the scores.

    References
    ----------
    .. [1] J. Carbonell and J. Goldstein, "The use of MMR, diversity-based reranking for reordering documents and
       producing summaries", SIGIR 1998.

    Examples
    --------
    >>> import fastautorec as far
    >>> packages = far.datasets.load_example()
    >>> model = far.NCEAutoRec(factors=64).fit(packages)
    >>> for strength in (0, 0.3):
    ...     table = model.recommend_table({"ann": ["git"]}, N=4, rerank=far.rerank.MMR(strength))
    ...     print(table.to_dict()["ann"])
    ['libc6', 'libstdc++6', 'python3', 'libgcc-s1']
    ['libc6', 'python3', 'perl', 'libjs-mathjax']
    """

    def __init__(self, strength: float) -> None:
        self.strength = check_real("strength", strength, 0, 1)

    def __repr__(self) -> str:
        return f"MMR(strength={self.strength:g})"

    def order(self, ids: IdArray, scores: FloatArray, request: Request) -> Places:
        """Return the places of the ``request.n`` items that are chosen one after the other."""
        n_users, n_places = ids.shape
        length = min(request.n, n_places)
        places = np.full((n_users, length), -1, np.int64)
        gains = (1 - self.strength) * relevance(ids, scores)
        dimension = request.unit_vectors(ids[:1, :1]).shape[-1]
        step = max(BLOCK_BYTES // (4 * max(n_places, 1) * (dimension + n_places)), 1)
        for start in range(0, n_users, step):
            rows = slice(start, start + step)
            vectors = request.unit_vectors(np.maximum(ids[rows], 0))
            cosines = np.matmul(vectors, vectors.transpose(0, 2, 1))
            places[rows] = self._greedy(gains[rows], ids[rows] >= 0, cosines, length)
        return places

    def _greedy(
        self, gains: npt.NDArray[np.float64], free: npt.NDArray[np.bool_], cosines: FloatArray, length: int
    ) -> npt.NDArray[np.int64]:
        users, free = np.arange(len(gains)), free.copy()
        nearest = np.zeros(gains.shape)
        places = np.full((len(gains), length), -1, np.int64)
        for place in range(length):
            value = np.where(free, gains - self.strength * nearest, -np.inf)
            chosen = value.argmax(axis=1)
            places[:, place] = np.where(free[users, chosen], chosen, -1)
            free[users, chosen] = False
            own = cosines[users, chosen]
            nearest = own if place == 0 else np.maximum(nearest, own)
        return places


class Caps:
    """At most a given number of items of each group in a list, such as those of one author, seller or genre.

    From the best candidate down, an item is listed unless its group is full already. The caps are kept: where the
    candidates have too few groups, lists are shorter, and ``n_candidates`` of `recommend` takes more of them.

    Parameters
    ----------
    groups : dict, column with an index, or array_like (n,)
        Group of each item, integers or texts. A dict has the group by the item's id, and a column of pandas with an
        index of ids goes by that: any order will do, every item of the model must be there, and others may be. Lists
        and arrays are in the order of the model's ``item_ids_``. Integers below 0, None and NaN are for items without a
        group, of which any number is listed.
    at_most : int
        At least 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fastautorec as far
    >>> packages = far.datasets.load_example()
    >>> model = far.NCEAutoRec(factors=64).fit(packages)
    >>> kind = {name: "library" if name.startswith("lib") else None for name in packages.item_ids.tolist()}
    >>> caps = far.rerank.Caps(kind, at_most=2)
    >>> table = model.recommend_table(packages, N=4, users=packages.user_ids[:50], rerank=caps)
    >>> max(sum(kind[item] == "library" for item in items) for items in table.to_dict().values())
    2
    """

    def __init__(self, groups: Mapping[Any, Id | None] | npt.ArrayLike, at_most: int) -> None:
        self.at_most = check_int("at_most", at_most, 1)
        self._keyed = isinstance(groups, Mapping)
        self._labels = list(groups) if isinstance(groups, Mapping) else labels_of(groups)
        self._codes = _group_codes(list(groups.values()) if isinstance(groups, Mapping) else groups)
        self._ordered: tuple[Any, npt.NDArray[np.int64]] | None = None  # the codes for some model's item_ids_

    def __repr__(self) -> str:
        n_groups = int(self._codes.max(initial=-1)) + 1
        return f"Caps({n_groups:,} groups of {len(self._codes):,} items, at_most={self.at_most})"

    def order(self, ids: IdArray, scores: FloatArray, request: Request) -> Places:
        """Return the places of the candidates that the caps leave, in their order."""
        codes = np.where(ids < 0, -1, self._codes_of(request)[ids])
        before = _earlier_of_the_same(codes)
        kept = (ids >= 0) & ((codes < 0) | (before < self.at_most))
        places = np.argsort(~kept, axis=1, kind="stable")
        return np.where(np.take_along_axis(kept, places, axis=1), places, -1)

    def _codes_of(self, request: Request) -> npt.NDArray[np.int64]:
        """Return the number of each item's group in the order of the model."""
        item_ids, n, ordered = request.item_ids, request.n_items, self._ordered
        if ordered is not None and ordered[0] is item_ids and len(ordered[1]) == n:
            return ordered[1]
        codes, places = self._codes, None
        if self._labels is not None:
            places = places_of_items("groups", self._labels, item_ids, n, keyed=self._keyed)
        if places is not None:
            codes = codes[places]
        elif len(codes) != n:
            raise ValueError(f"`groups` must have one group for each of the {n} items, got {len(codes)}")
        self._ordered = item_ids, codes
        return codes


class Explore:
    """Lists drawn at random, good items more often: Plackett and Luce's model, by Gumbel noise [1]_ [2]_.

    The items with the largest relᵢ / ``temperature`` + gᵢ are listed, with g from the standard Gumbel distribution: the
    first is item i with a probability proportional to exp(relᵢ / temperature), the second is drawn so from the others,
    and so on. The relevance is the score, brought for each user to 1 for the best and 0 for the worst candidate.

    The noise is a function of ``random_state``, of the items of the user's history, and of the item: a request for one
    user, a batch, another order of users or another number of threads give the same list, and users with the same
    history have the same. (A request has no user number, and one that counted rows would change with the batch. Last
    bits of scores, which may change with it, matter only where two values are equal to some six digits.) Another
    ``random_state``, such as the number of the day, gives other lists.

    Parameters
    ----------
    temperature : float
        Above 0: small values leave lists nearly as they are; with large ones any candidate is as likely.
    random_state : int or numpy.random.Generator
        Of a generator, one number is drawn at once.

    References
    ----------
    .. [1] W. Kool, H. van Hoof and M. Welling, "Stochastic beams and where to find them: the Gumbel-top-k trick for
       sampling sequences without replacement", ICML 2019.
    .. [2] J. I. Yellott, "The relationship between Luce's choice axiom, Thurstone's theory of comparative judgment, and
       the double exponential distribution", J. Math. Psychol. 15 (1977), 109-144.

    Examples
    --------
    >>> import numpy as np
    >>> import fastautorec as far
    >>> packages = far.datasets.load_example()
    >>> model = far.NCEAutoRec(factors=64).fit(packages)
    >>> explore = far.rerank.Explore(temperature=0.2, random_state=7)
    >>> many, _ = model.recommend(packages.user_items[:6], N=5, rerank=explore)
    >>> one, _ = model.recommend(packages.user_items[4:5], N=5, rerank=explore)
    >>> bool((one[0] == many[4]).all())
    True
    """

    def __init__(self, temperature: float, random_state: int | np.random.Generator = 0) -> None:
        self.temperature = check_real("temperature", temperature, 0, above=True)
        drawn = isinstance(random_state, np.random.Generator)
        generator = check_random_state(random_state)
        self._seed = int(generator.integers(2**63)) if drawn else int(random_state)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"Explore(temperature={self.temperature:g}, random_state={self._seed})"

    def order(self, ids: IdArray, scores: FloatArray, request: Request) -> Places:
        """Return the places of all candidates, by descending relevance with noise."""
        own = mixed(request.users ^ mixed(np.array([self._seed], np.uint64)))
        bits = mixed(own[:, None] ^ mixed(ids.astype(np.uint32).astype(np.uint64)))
        uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # in (0, 1)
        value = relevance(ids, scores) / self.temperature - np.log(-np.log(uniform))
        return np.argsort(np.where(ids < 0, np.inf, -value), axis=1, kind="stable")


def relevance(ids: IdArray, scores: FloatArray) -> npt.NDArray[np.float64]:
    """Return scores brought to 1 for the best and 0 for the worst candidate of each user; 0 where all are equal."""
    there, values = ids >= 0, scores.astype(np.float64)
    low = np.where(there, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(there, values, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    spread = np.where(high > low, high - low, 1)
    return np.where(there, (values - low) / spread, 0)


def _earlier_of_the_same(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each entry how many before it in its row are the same."""
    order = np.argsort(codes, axis=1, kind="stable")
    ascending = np.take_along_axis(codes, order, axis=1)
    place = np.broadcast_to(np.arange(codes.shape[1]), codes.shape)
    starts = np.where(np.diff(ascending, axis=1, prepend=ascending[:, :1] - 1) != 0, place, 0)
    counts = place - np.maximum.accumulate(starts, axis=1)
    result = np.empty_like(codes)
    np.put_along_axis(result, order, counts, axis=1)
    return result


def _group_codes(groups: Any) -> npt.NDArray[np.int64]:
    """Return a number >= 0 for each group, -1 for none."""
    if isinstance(groups, (str, bytes, Set)) or not hasattr(groups, "__len__"):
        raise TypeError(
            f"`groups` must have the group of each item, as a dict by id, or in the order of the model's items, got "
            f"{kind(groups)}"
        )
    array = np.asarray(groups)
    if array.ndim != 1:
        raise ValueError(f"`groups` must have one dimension, got shape {array.shape}")
    if array.dtype.kind in "iu":
        nothing = array < 0
    elif array.dtype.kind == "f":
        raise TypeError("`groups` must hold integers or texts, got floats; round them, with -1 for no group")
    else:
        array = np.asarray(groups, object)
        nothing = np.array([value is None or (isinstance(value, float) and math.isnan(value)) for value in array], bool)
    codes = np.full(len(array), -1, np.int64)
    values = array[~nothing]
    if values.dtype == object:
        try:
            number = {value: place for place, value in enumerate(dict.fromkeys(values.tolist()))}
        except TypeError as error:
            raise TypeError(f"`groups` must hold integers or texts, got {error}") from None
        codes[~nothing] = [number[value] for value in values.tolist()]
    else:
        codes[~nothing] = np.unique(values, return_inverse=True)[1]
    return codes
