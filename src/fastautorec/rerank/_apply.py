"""What a re-ranker is, and how lists are handed to some of them, one after the other, in blocks of users."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_int, kind
from fastautorec._compute.csr import Csr
from fastautorec._compute.host import run_blocks
from fastautorec._compute.protocol import FloatArray, IdArray

Keys = npt.NDArray[np.uint64]
Places = npt.NDArray[np.integer]

BLOCK_PLACES = 1 << 16  # candidates that are re-ranked together
BLOCK_USERS = 1 << 16  # whose candidates, many more than their lists, are kept at the same time
FEWEST = 100  # candidates of a list where the call does not say how many
TIMES = 2  # as many as places that are wanted, where that is more


@dataclass(frozen=True)
class Request:
    """What a re-ranker may know beside candidates and scores.

    Attributes
    ----------
    n : int
        How many places are wanted; more may be given. All but the last of several re-rankers are asked for all.
    n_items : int
        Number of items of the model.
    users : uint64 (q,)
        A number for each user, made of the items of the history: the same in every call, whatever row it is in.
    unit_vectors : callable
        ``unit_vectors(ids)``, with ids int32 of any shape, returns the vectors by which `similar_items` compares items,
        float32 (..., d), of length 1 or all 0; a dot product is a cosine.
    item_ids : array (n,) or None
        Ids of the items, None where the model has numbers only.
    """

    n: int
    n_items: int
    users: Keys
    unit_vectors: Callable[[IdArray], FloatArray]
    item_ids: npt.NDArray[Any] | None = None


class Reranker(Protocol):
    """What chooses and orders the items of lists; it may be called for some users at a time and in any thread."""

    def order(self, ids: IdArray, scores: FloatArray, request: Request) -> Places:
        """Return which candidates are listed, best first.

        Parameters
        ----------
        ids : int32 (q, M)
            Candidates of each user, by descending score or in the order of the re-ranker before; -1, at the end, where
            there are fewer. Read-only, as are the scores.
        scores : float32 (q, M)
            NaN where the id is -1.
        request : Request

        Returns
        -------
        integer (q, L), L <= M
            Places of the candidates, from 0 on, none twice in a row; -1 for an empty place.
        """


def check_rerankers(rerank: Any) -> tuple[Reranker, ...]:
    """Return one or more re-rankers as a tuple, none for None."""
    if rerank is None:
        return ()
    found = tuple(rerank) if isinstance(rerank, Iterable) else (rerank,)
    for one in found:
        if isinstance(one, type) or not callable(getattr(one, "order", None)):
            what = f"the class {one.__name__}" if isinstance(one, type) else kind(one)
            raise TypeError(
                "`rerank` must hold re-rankers, such as fastautorec.rerank.MMR(0.3), or others with a method "
                f"order(ids, scores, request), got {what}"
            )
    return found


def candidates_of(n_candidates: int | None, n_top: int, n_items: int, reranked: bool) -> int:
    """Return how many of the best items of a list are taken: what is wanted where nothing is re-ranked."""
    if not reranked:
        if n_candidates is not None:
            raise ValueError(f"`n_candidates` needs `rerank`, got {n_candidates!r} and nothing to re-rank with")
        return n_top
    if n_candidates is None:
        return min(max(FEWEST, TIMES * n_top), n_items)
    return check_int("n_candidates", n_candidates, n_top, n_items)


class Reranking:
    """Re-rankers with what they may know of a fitted model."""

    def __init__(
        self,
        rerankers: tuple[Reranker, ...],
        n_items: int,
        vectors: Callable[[], FloatArray],
        item_ids: npt.NDArray[Any] | None,
    ) -> None:
        """Take ``vectors``, which returns those of the items, (n, d), on the host; it is called if they are wanted."""
        self._rerankers, self._n_items, self._make, self._item_ids = rerankers, n_items, vectors, item_ids

    @cached_property
    def _vectors(self) -> FloatArray:
        return self._make()

    def _unit_vectors(self, ids: IdArray) -> FloatArray:
        vectors = self._vectors[ids]
        norms = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))[..., None]
        vectors /= np.where(norms > 0, norms, np.float32(1))
        return vectors

    def lists(
        self, ids: IdArray, scores: FloatArray, history: Csr, n_top: int, num_threads: int = 1
    ) -> tuple[IdArray, FloatArray]:
        """Return the lists (q, n_top) of candidates (q, M), all on the host; ``history`` has the rows of the users."""
        shape, keys = (len(ids), n_top), history_keys(history)
        best, values = np.full(shape, -1, np.int32), np.full(shape, np.nan, np.float32)
        request = Request(n_top, self._n_items, keys, self._unit_vectors, self._item_ids)

        def work(start: int, stop: int) -> None:
            rows = slice(start, stop)
            own, theirs = self._in_turn(ids[rows], scores[rows], replace(request, users=keys[rows]))
            length = min(n_top, own.shape[1])
            best[rows, :length], values[rows, :length] = own[:, :length], theirs[:, :length]

        run_blocks(work, len(ids), max(BLOCK_PLACES // max(ids.shape[1], 1), 1), num_threads)
        return best, values

    def _in_turn(self, ids: IdArray, scores: FloatArray, request: Request) -> tuple[IdArray, FloatArray]:
        for left, one in enumerate(self._rerankers, 1 - len(self._rerankers)):
            for array in (ids, scores):
                array.flags.writeable = False
            places = one.order(ids, scores, request if left == 0 else replace(request, n=ids.shape[1]))
            ids, scores = _taken(one, places, ids, scores)
        return ids, scores


def _taken(one: Reranker, places: Places, ids: IdArray, scores: FloatArray) -> tuple[IdArray, FloatArray]:
    """Return the candidates in these places, with the empty places last."""
    name, (n_users, n_places) = f"`order` of {type(one).__name__}", ids.shape
    if not isinstance(places, np.ndarray) or not np.issubdtype(places.dtype, np.integer):
        raise TypeError(f"{name} must return an integer array, got {getattr(places, 'dtype', None) or kind(places)}")
    if places.ndim != 2 or len(places) != n_users or places.shape[1] > n_places:
        raise ValueError(
            f"{name} must return a row for each of {n_users} users and at most {n_places} columns, got shape "
            f"{places.shape}"
        )
    if places.size and (places.min() < -1 or places.max() >= n_places):
        wrong = places[(places < -1) | (places >= n_places)][0]
        raise ValueError(f"{name} must return places in [0, {n_places}), or -1 for none, got {wrong}")
    ascending = np.sort(places, axis=1)
    if ((ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] >= 0)).any():
        raise ValueError(f"{name} must return each place once for each user, got one twice")
    empty = (places < 0) | (np.take_along_axis(ids, np.maximum(places, 0), axis=1) < 0)
    filled_first = np.argsort(empty, axis=1, kind="stable")
    places = np.take_along_axis(places, filled_first, axis=1)
    empty = np.take_along_axis(empty, filled_first, axis=1)
    found = np.take_along_axis(ids, np.maximum(places, 0), axis=1)
    values = np.take_along_axis(scores, np.maximum(places, 0), axis=1)
    found[empty], values[empty] = -1, np.nan
    return found, values


def too_many(history: Any) -> bool:
    """Return whether the histories, on the host, are so many that they had better come in blocks."""
    return isinstance(history, Csr) and history.shape[0] > BLOCK_USERS


def in_blocks(lists: Callable[[Csr, Csr | None], Any], history: Csr, own: Csr | None) -> tuple[Any, Any]:
    """Return the lists of all histories, whose own candidates may be given, block by block."""
    parts = []
    for start in range(0, history.shape[0], BLOCK_USERS):
        rows = start, min(start + BLOCK_USERS, history.shape[0])
        parts.append(lists(history.rows(*rows), None if own is None else own.rows(*rows)))
    ids, scores = map(np.concatenate, zip(*parts, strict=True))
    return ids, scores


def history_keys(history: Csr) -> Keys:
    """Return a number for each row, made of its items alone, uint64 (q,)."""
    own = history.to_host().rebased()
    sums = np.zeros(own.nnz + 1, np.uint64)
    np.cumsum(mixed(own.indices.astype(np.uint64)), out=sums[1:])  # modulo 2^64, as are the differences below
    return mixed(sums[own.indptr[1:]] - sums[own.indptr[:-1]])


def mixed(numbers: Keys) -> Keys:
    """Return numbers that look random, each its own for each number: the step and finish of SplitMix64.

    G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    >>> hex(mixed(np.zeros(1, np.uint64))[0])  # the first number of SplitMix64 with seed 0
    '0xe220a8397b1dcdaf'
    """
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Keys = z ^ (z >> np.uint64(31))
    return result
