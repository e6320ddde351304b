"""Reports are compared user by user: by id, where users have ids."""

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import Interactions

M, N = 40, 12
RNG = np.random.default_rng(0)
MATRIX = sparse.csr_matrix(RNG.random((M, N)) < 0.5)
ORDER = RNG.permutation(M)


def report(matrix, users, k=3, lists=False):
    even = (np.arange(N) % 2 == 0).astype(np.float32)
    train, test = matrix.multiply(1 - even), matrix.multiply(even)
    data = [Interactions(sparse.csr_matrix(part), users) for part in (train, test)]
    if lists:
        return far.evaluate_ranking(np.tile(np.arange(N), (M, 1)), *data, k=k)
    return far.evaluate(far.Popularity().fit(data[0]), *data, k=k)


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("names", [[f"u{k}" for k in range(M)], list(range(100, 100 + M))])
def test_the_same_rows_are_other_users(names, lists):
    """The test data are the same for every row, so that nothing but the ids tells users apart."""
    alike = sparse.csr_matrix(np.ones((M, N)))
    turned = [names[k] for k in ORDER]
    first, second = report(alike, names, lists=lists), report(alike, turned, lists=lists)
    place = int(np.argmax(np.arange(M) != ORDER))
    message = (
        rf"same users in the same rows, got user {names[place]!r} and user {turned[place]!r} in row {place}; evaluate"
    )
    for a, b in ((first, second), (first.at(k=2), second.at(k=2))):
        with pytest.raises(ValueError, match=message):
            far.compare(a, b)
        with pytest.raises(ValueError, match=message):
            far.evaluation.compare_users(a, b)
    assert far.compare(first, report(alike, names, lists=lists)).n_users == M


def test_texts_are_no_integers():
    first, second = report(MATRIX, list(range(M))), report(MATRIX, [str(k) for k in range(M)])
    with pytest.raises(ValueError, match="got user 0 and user '0' in row 0"):
        far.compare(first, second)


def test_rows_without_ids_are_compared_as_they_are():
    assert far.compare(report(MATRIX, None), report(MATRIX, range(M)))["NDCG"].difference == 0
