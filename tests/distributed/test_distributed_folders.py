"""Shards as `shard` leaves them: their folder stands for all of them, and each is split to train and test."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sharded import assert_same

import fastautorec as far
from fastautorec import distributed

PAGE = Path(__file__).parents[2] / "docs" / "distributed.md"
DRAWN = np.random.default_rng(0).integers((0, 0, 10**9), (60, 20, 10**9 + 9999), (900, 3))


def ratings(path: Path) -> Path:
    path.write_text("\n".join(["user,item,timestamp", *(",".join(map(str, row)) for row in DRAWN.tolist())]))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return list(distributed.shard(ratings(tmp_path / "a.csv"), tmp_path / "out", n_shards=4, verbose=False))


def test_the_folder_of_the_shards_is_all_of_them(shards: list[Path], tmp_path: Path) -> None:
    out, search = tmp_path / "out", far.NCEAutoRec(8, regularization=[1.0, 1000.0])
    (out / "notes.txt").write_text("of no matter")
    model = distributed.fit(far.NCEAutoRec(8), out)
    assert_same(model, distributed.fit(far.NCEAutoRec(8), shards))
    assert_same(distributed.fit(search, str(out), out), distributed.fit(search, shards, shards))
    report, same = (distributed.evaluate(model, some, some) for some in (out, shards))
    np.testing.assert_array_equal(report["NDCG"].per_user, same["NDCG"].per_user)
    assert distributed.plan(model, out) == distributed.plan(model, shards)
    pytest.importorskip("pyarrow")
    lists, others = (distributed.recommend(model, some, tmp_path / name) for some, name in ((out, "l"), (shards, "m")))
    assert [path.read_bytes() for path in lists] == [path.read_bytes() for path in others]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_gap_is_refused(number: int, shards: list[Path], tmp_path: Path) -> None:
    shutil.rmtree(shards[number])
    with pytest.raises(
        FileNotFoundError, match=rf"`data` .* shard-0000{number} is missing in .*out, which has shard-00003"
    ):
        distributed.fit(far.Popularity(), tmp_path / "out")
    (tmp_path / "other").mkdir()
    with pytest.raises(far.InteractionsFileError, match="other is not a folder of fastautorec interactions"):
        distributed.fit(far.Popularity(), tmp_path / "other")


def test_the_page_splits_shards_to_train_and_test(tmp_path: Path) -> None:
    (block,) = (
        code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if "split" in code
    )
    ratings(tmp_path / "ratings")
    block = block.replace("/shared", str(tmp_path)).replace("client", '"local"').replace("factors=200", "factors=8")
    names: dict[str, Any] = {"far": far, "distributed": distributed}
    exec(compile(block, str(PAGE), "exec"), names)
    whole = far.read_ratings(tmp_path / "ratings", repeats="first")
    train, test = far.split(whole, (0.8, 0.2))
    expected = far.evaluate(far.NCEAutoRec(8).fit(train), train, test)
    assert names["report"].n_users == expected.n_users
    assert names["report"]["NDCG"].mean == pytest.approx(expected["NDCG"].mean, rel=1e-3)
