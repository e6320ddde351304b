"""Data that needs no download: an embedded real data set and synthetic data of any size."""

from __future__ import annotations

from importlib import resources

import numpy as np
from scipy import sparse

from fastautorec._checks import MAX_ITEMS, check_int, check_random_state
from fastautorec.data._interactions import Interactions
from fastautorec.data._texts import text_array
from fastautorec.datasets import _synthetic

__all__ = ["PAPER_SHAPES", "load_example", "synthetic"]

PAPER_SHAPES: dict[str, tuple[int, int, int]] = {
    "goodbooks": (53_418, 10_000, 5_493_027),
    "ml-20m": (138_362, 22_884, 12_195_566),
    "netflix": (478_615, 17_769, 56_919_192),
    "yahoo": (1_876_280, 44_865, 48_817_552),
}
"""Users, items and interactions of the data sets of the NCE-AutoRec paper, for `synthetic`."""


def load_example() -> Interactions:
    """Load the embedded data: Debian packages (rows) and what they depend on or recommend (columns).

    17,330 packages of Debian 12 and the 5,460 names in their Depends, Pre-Depends and Recommends fields, with
    alternatives; every row and column has 5 interactions or more. `scripts/make_example_data.py` in the source
    repository makes it from package metadata.

    Returns
    -------
    Interactions (17330, 5460)
        169,376 interactions; ids are package names, ascending; no timestamps.

    Examples
    --------
    >>> from fastautorec.datasets import load_example
    >>> data = load_example()
    >>> data
    Interactions(17,330 users, 5,460 items, 169,376 interactions, density 0.179 %)
    >>> row = data.user_items[data.user_index("2ping")]
    >>> [str(name) for name in data.item_ids[row.indices]][:2]
    ['lsb-base', 'python3']
    """
    file = resources.files("fastautorec") / "datasets" / "debian_dependencies.npz"
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        indices = arrays["items"].astype(np.int32)
        lengths = arrays["lengths"]
        user_ids, item_ids = (arrays[name].tobytes().decode("ascii").split("\n") for name in ("user_ids", "item_ids"))
    indptr = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    ones = np.ones(len(indices), np.float32)
    matrix = sparse.csr_matrix((ones, indices, indptr), shape=(len(user_ids), len(item_ids)))
    return Interactions._trusted(matrix, text_array(user_ids), text_array(item_ids), None, None)


def synthetic(n_users: int, n_items: int, nnz: int, random_state: int | np.random.Generator = 0) -> sparse.csr_matrix:
    """Draw interactions with long-tailed activity and popularity and latent taste clusters.

    Item popularity follows a Zipf law and user activity a log-normal one. Every item belongs to one cluster; a user
    favours two or three clusters and takes the rest from all items, by popularity.

    Parameters
    ----------
    n_users, n_items : int
    nnz : int
        Number of interactions, at most ``n_users * n_items``; the result has exactly so many. Every user has one or
        more where ``nnz >= n_users``; an item may have none.
    random_state : int or Generator
        The same seed gives the same data.

    Returns
    -------
    CSR (n_users, n_items), float32
        Canonical, all values 1. Beyond it, memory stays below a few hundred MB whatever the shape.

    Examples
    --------
    >>> from fastautorec.datasets import synthetic
    >>> user_items = synthetic(1000, 500, 20_000)
    >>> user_items.shape, user_items.nnz
    ((1000, 500), 20000)
    """
    m = check_int("n_users", n_users, 1)
    n = check_int("n_items", n_items, 1, MAX_ITEMS)
    count = check_int("nnz", nnz, 0, m * n)
    seed = int(check_random_state(random_state).integers(2**63))
    indptr, indices = _synthetic.draw(m, n, count, seed)
    return sparse.csr_matrix((np.ones(count, np.float32), indices, indptr), shape=(m, n))
