"""Shards made on Dask, Ray and Spark: the bytes of one machine, with a worker killed too, and errors of the data."""

from __future__ import annotations

from pathlib import Path

import pytest
from clusters import PACKAGES, run_on

from fastautorec import distributed

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
from parquet_parts import bytes_in, data_set  # noqa: E402

SCRIPT = Path(__file__).parents[1] / "shard_script.py"


@pytest.mark.parametrize("engine", PACKAGES)
def test_engines_write_the_same_bytes(engine: str, tmp_path: Path) -> None:
    folder = data_set(tmp_path / "ratings", texts=True)
    bad = data_set(tmp_path / "bad", texts=True)
    columns = {"user": ["user", None], "item": ["item", "item"], "timestamp": [1, 2]}
    pa.parquet.write_table(pa.table(columns), bad / "null.parquet")
    done = run_on(engine, SCRIPT, folder, tmp_path / "there", bad, "--kill", 0.3)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("shard-", "refused"))]  # Ray tells of deaths
    assert done.returncode == 0, done.stderr
    names = [f"shard-0000{number}" for number in range(3)]
    assert [lines[0], lines[2]] == [" ".join(names), " ".join([*names, "killed"])], done.stderr
    assert lines[1].startswith(f"refused: {bad / 'null.parquet'}: column 'user' must hold a user id in every row"), (
        lines
    )
    distributed.shard(folder, tmp_path / "here", n_shards=3, verbose=False)
    for name in ("there", "there again"):
        assert bytes_in(tmp_path / name) == bytes_in(tmp_path / "here")
