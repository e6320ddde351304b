"""Negative samples on an emulated CUDA device: the bits of the C++ core, in every way through the kernel."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from cuda_emulation import EmulatedDevice
from scipy import sparse

from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr
from fastautorec._compute.cuda import sampling
from fastautorec._compute.cuda.matrix import DeviceCsr
from fastautorec._compute.cuda.sampling import sample_negatives
from fastautorec._compute.sampling import make_sampler, popularity_weights

CPU = get_backend("cpu", 1)
USERS = np.array([5, 0, 2**40, 2**63 - 1, 5, 7])
SKEWED = np.random.default_rng(1).zipf(1.5, 300).clip(0, 9999)


def exclusion(n_users, n_items, density, kept=0):
    """Random items to exclude, one row of them none; no user loses the item ``kept``."""
    taken = np.random.default_rng(2).random((n_users, n_items)) < density
    taken[:, kept] = False
    taken[n_users // 2] = False
    matrix = sparse.csr_matrix(taken)
    return Csr(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), None, n_items)


def assert_parity(device, sampler, users=USERS, exclude=None, seed=2**64 - 1, epoch=2**32 - 1):
    left_out = None if exclude is None else DeviceCsr.from_host(device, exclude)
    waits = device.synchronisations
    pattern, counts = sample_negatives(device, sampler, users, left_out, seed, epoch)
    assert device.synchronisations == waits
    expected, expected_counts = CPU.sample_negatives(sampler, users, exclude, seed, epoch)
    got = pattern.to_host()
    np.testing.assert_array_equal(got.indptr, expected.indptr)
    np.testing.assert_array_equal(got.indices, expected.indices)
    np.testing.assert_array_equal(counts.get()[: len(expected_counts)], expected_counts)
    np.testing.assert_array_equal(got.users, users)
    assert got.shape == expected.shape
    assert counts.dtype == got.indices.dtype == np.int32
    assert len(counts) == len(pattern.pattern.indices) == len(users) * sampler.longest_row


@pytest.mark.parametrize("power", [0, 0.75, 1])
@pytest.mark.parametrize("by_counts", [False, True])
@pytest.mark.parametrize("n_samples", [1, 2, 7, 513, 5003])
@pytest.mark.parametrize("n_items", [1, 2, 31, 33, 300, 8230])  # a word of the bitmap and beyond; beyond 256 words
def test_parity(n_items, n_samples, by_counts, power):
    popularity = np.random.default_rng(n_items).zipf(1.5, n_items).clip(0, 9999)
    popularity[::3] *= n_items == 1
    popularity[-1] = 3
    sampler = make_sampler(popularity_weights(popularity, power), n_samples, by_counts=by_counts)
    device = EmulatedDevice(seed=n_samples)
    assert_parity(device, sampler)
    if n_items > 1:
        assert_parity(device, sampler, exclude=exclusion(len(USERS), n_items, 0.3, n_items - 1))


@pytest.mark.parametrize("by_counts", [False, True])
@pytest.mark.parametrize("seed", range(1, 6))
def test_any_order_of_threads_and_blocks(seed, by_counts):
    sampler = make_sampler(SKEWED, 700, by_counts=by_counts)
    assert_parity(EmulatedDevice(seed=seed), sampler, np.arange(40), exclusion(40, 300, 0.2))


@pytest.mark.parametrize("excludes", [False, True])
def test_attempts(excludes):
    """Without a margin every other attempt draws too many and is repeated."""
    sampler = make_sampler(SKEWED[:60], 500, by_counts=True, margin=0)
    assert_parity(EmulatedDevice(), sampler, np.arange(20), exclusion(20, 60, 0.1) if excludes else None)


@pytest.mark.parametrize("by_counts", [False, True])
@pytest.mark.parametrize("limit", ["_STAGE_BYTES", "_SHARED_BYTES", "_SCRATCH_BYTES"])
def test_tight_memory(monkeypatch, limit, by_counts):
    """Tiles of users, scratch outside the shared memory, and scratch for one block only."""
    monkeypatch.setattr(sampling, "_SHARED_BYTES", 0)
    monkeypatch.setattr(sampling, limit, 0 if limit != "_STAGE_BYTES" else 8 * 100 * 3)
    sampler = make_sampler(SKEWED, 100, by_counts=by_counts)
    assert_parity(EmulatedDevice(), sampler, np.arange(20), exclusion(20, 300, 0.3))


def test_long_rows_of_excluded_items():
    exclude = exclusion(4, 5000, 0.9)
    assert exclude.row_lengths().max() * 16 > sampling._SHARED_BYTES
    assert_parity(EmulatedDevice(), make_sampler(np.ones(5000), 50), np.arange(4), exclude)


@pytest.mark.parametrize("by_counts", [False, True])
def test_row_slices_and_users_on_the_device(by_counts):
    device, exclude = EmulatedDevice(), exclusion(30, 300, 0.2)
    sampler = make_sampler(SKEWED, 90, by_counts=by_counts)
    left_out = DeviceCsr.from_host(device, exclude).rows(7, 19)
    pattern, counts = sample_negatives(device, sampler, left_out.user_numbers(), left_out, 3, 4)
    expected = CPU.sample_negatives(sampler, np.arange(7, 19), exclude.rows(7, 19), 3, 4)
    np.testing.assert_array_equal(pattern.to_host().indices, expected[0].indices)
    np.testing.assert_array_equal(counts.get()[: pattern.nnz], expected[1])


def test_no_users():
    for by_counts in (False, True):
        assert_parity(EmulatedDevice(), make_sampler(SKEWED, 5, by_counts=by_counts), np.empty(0, np.int64))


@pytest.mark.parametrize("by_counts", [False, True])
def test_a_user_with_every_item_excluded_gets_nothing(by_counts):
    device = EmulatedDevice()
    everything = sparse.csr_matrix(np.array([[0] * 5, [1] * 5, [0, 1, 0, 0, 0]]))
    exclude = Csr(everything.indptr.astype(np.int64), everything.indices.astype(np.int32), None, 5)
    sampler = make_sampler(np.arange(1.0, 6), 20, by_counts=by_counts)
    pattern, counts = sample_negatives(device, sampler, np.arange(3), DeviceCsr.from_host(device, exclude), 0, 0)
    assert np.add.reduceat(counts.get()[: pattern.nnz], pattern.to_host().indptr[[0, 2]]).tolist() == [20, 20]
    assert pattern.row_lengths()[1] == 0


def test_the_largest_number_of_samples():
    assert_parity(EmulatedDevice(), make_sampler(np.array([1.0, 0, 3]), 2**31 - 1), np.array([1]))


def test_tables_stay_on_the_device_while_the_sampler_lives():
    device, sampler = EmulatedDevice(), make_sampler(SKEWED, 400)
    sample_negatives(device, sampler, np.arange(3), None, 0, 0)
    transfers = device.transfers
    users = device.to_device(np.arange(3))
    sample_negatives(device, sampler, users, None, 0, 1)
    assert device.transfers == transfers + 1  # the users, by this test
    other = EmulatedDevice()
    sample_negatives(other, sampler, np.arange(3), None, 0, 0)
    assert other.transfers == transfers
    kept = len(sampling._uploaded)
    del sampler
    gc.collect()
    assert len(sampling._uploaded) == kept - 2
