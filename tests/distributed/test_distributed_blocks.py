"""A state that is too large for a message goes in blocks of columns: the same model to rounding, whoever adds it up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sharded import DATA, ENTRIES, MODELS, Elsewhere, Failing, assert_same

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed import _engines as engines

COLUMN = 4 * 40  # bytes
STATE = 4 * COLUMN
NAMES = ["NCE", "NCE tanh", "NCE relu updatable", "NCE joint", "AutoRec", "NCEPLRec", "PureSVD"]


class Weighing(engines.Local):
    """An engine that remembers the largest array that goes to a worker."""

    largest = 0

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        self.largest = max(self.largest, bytes_of(state))
        return super().reduce(work, shards, state)


def bytes_of(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    parts = value if isinstance(value, tuple) else vars(value).values() if hasattr(value, "__dict__") else ()
    return max(map(bytes_of, parts), default=0)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_give_the_same_model_to_rounding(name: str, folder: Path) -> None:
    options: dict[str, Any] = {"shard_entries": ENTRIES, "state_bytes": STATE}
    cut, whole = Weighing(), Weighing()
    model = distributed.fit(MODELS[name](), folder, engine=cut, **options)
    expected = distributed.fit(MODELS[name](), folder, engine=whole, shard_entries=ENTRIES)
    scores, wanted = model.predict(DATA), expected.predict(DATA)
    np.testing.assert_allclose(scores, wanted, atol=2e-4 * np.abs(wanted).max())
    assert cut.largest <= STATE < whole.largest
    assert_same(model, distributed.fit(MODELS[name](), folder, engine=Elsewhere(), **options))


def test_what_fits_is_not_cut(folder: Path) -> None:
    model = distributed.fit(far.NCEAutoRec(8), folder, state_bytes=9 * COLUMN)
    assert_same(model, far.NCEAutoRec(8).fit(DATA))


def test_blocks_go_on_from_their_passes(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"shard_entries": ENTRIES, "state_bytes": STATE}
    expected = distributed.fit(far.NCEAutoRec(8), folder, **options)
    passes, model = tmp_path / "passes", far.NCEAutoRec(8)
    with pytest.raises(ConnectionError):
        distributed.fit(model, folder, engine=Failing(11), checkpoint=passes, **options)
    assert len(list(passes.iterdir())) == 11, "four passes in two blocks, and three of the six pairs of four"
    with pytest.raises(far.exceptions.ModelFileError, match="its parameters differ"):
        distributed.fit(model, folder, checkpoint=passes, shard_entries=ENTRIES)
    distributed.fit(model, folder, checkpoint=passes, **options)
    assert_same(model, expected)


def test_what_cannot_be_cut_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"`state_bytes` must be at least 320 for 40 items, .* got 319"):
        distributed.fit(far.NCEAutoRec(8), folder, state_bytes=2 * COLUMN - 1)
    with pytest.raises(ValueError, match=r"`state_bytes` must be at least 12,800, the bytes of items × items"):
        distributed.fit(far.EASE(10), folder, state_bytes=12_799)
    with pytest.raises(
        ValueError, match=r"`state_bytes` must be at least [\d,]+, the bytes of a model that validation"
    ):
        distributed.fit(far.PureSVD([2, 8]), folder, folder, state_bytes=STATE)
    with pytest.raises(ValueError, match="`state_bytes` must be >= 1"):
        distributed.fit(far.NCEAutoRec(8), folder, state_bytes=0)
