"""Dask, Ray and Spark give the bits of the fit on one machine, and again after a worker was killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from clusters import PACKAGES, run_on
from engine_script import ENTRIES, digest, models
from lanes import keeping

import fastautorec as far
from fastautorec import distributed

SCRIPT = Path(__file__).parents[1] / "engine_script.py"
CASES = [("dask", ()), *((engine, (0.05,)) for engine in PACKAGES)]


@pytest.mark.parametrize(("engine", "kills"), keeping([case for case in CASES if case != ("dask", (0.05,))], CASES))
def test_engines_give_the_same_bits(engine: str, kills: tuple[float, ...], tmp_path: Path) -> None:
    """A worker killed on Dask takes a cluster of its own; the fast lane kills one where shards are written."""
    data = far.Interactions(far.datasets.synthetic(1000, 200, 12_000, random_state=0))
    data.to_disk(tmp_path / "data")
    done = run_on(engine, SCRIPT, tmp_path / "data", 2, "--kill", *kills)
    expected = [digest(distributed.fit(model, tmp_path / "data", shard_entries=ENTRIES)) for model in models()]
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    refused = ["shard 7 is wrong"] * 2  # as what it is, which more tries would not have mended
    assert lines == [*expected, *refused, *(f"{expected[0]} killed" for _ in kills)], done.stderr
