"""Plans of fits over shards say what is then measured."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sharded import ENTRIES, MATRIX, named

import fastautorec as far
from fastautorec import distributed
from fastautorec._training import closed_form
from fastautorec.distributed import _engines as engines

COLUMN = 4 * 40
MODELS = {
    "NCE": partial(far.NCEAutoRec, 8),
    "NCE relu": partial(far.NCEAutoRec, 8, activation="relu"),
    "AutoRec": partial(far.AutoRec, 8, init="svd", epochs=0),
    "NCEPLRec": partial(far.NCEPLRec, 8),
    "PureSVD": partial(far.PureSVD, 8),
    "EASE": far.EASE,
    "Popularity": far.Popularity,
    "search": partial(far.NCEAutoRecCV, factors=[4, 8], beta=1.0),
}
PEAK = """
import sys
from pathlib import Path
import fastautorec as far
from fastautorec import distributed
from fastautorec._training import closed_form

def peak():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024

def fit(engine):
    model = far.NCEAutoRec(factors=int(sys.argv[3]), num_threads=1)
    entries, state = int(sys.argv[2]), int(sys.argv[4]) or None
    distributed.fit(model, sys.argv[1], engine=engine, shard_entries=entries, state_bytes=state)

if __name__ == "__main__":
    if sys.argv[5] == "local":
        fit("local")
        print(peak())
    else:
        from distributed import Client, LocalCluster
        here = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
        with LocalCluster(n_workers=2, **here) as cluster, Client(cluster) as client:
            fit(client)
            print(peak(), max(client.run(peak).values()))
"""
LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is told by Linux")


class Counting(engines.Local):
    """An engine that counts passes, and the bytes of the largest array that goes out or comes back."""

    passes, largest = 0, 0

    def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
        self.passes += 1
        return super().map(work, shards, state)

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        self.passes += 1
        total = super().reduce(work, shards, state)
        self.largest = max(self.largest, bytes_of(state), bytes_of(total))
        return total


def bytes_of(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    parts = value if isinstance(value, tuple) else vars(value).values() if hasattr(value, "__dict__") else ()
    return max(map(bytes_of, parts), default=0)


@pytest.mark.parametrize("state", [None, 4 * COLUMN])
@pytest.mark.parametrize("name", MODELS)
def test_passes_and_messages(name: str, state: int | None, folder: Path) -> None:
    if name == "EASE" and state:
        pytest.skip("its matrix is not cut")
    engine = Counting()
    distributed.fit(MODELS[name](), folder, engine=engine, shard_entries=ENTRIES, state_bytes=state)
    plan = distributed.plan(MODELS[name](), folder, engine="dask", workers=2, shard_entries=ENTRIES, state_bytes=state)
    assert plan.passes == engine.passes
    assert plan.message_bytes == engine.largest
    assert plan.shards == 8
    assert plan.wire_bytes == (2 + 8) * plan.message_bytes


@pytest.mark.parametrize(
    "model",
    [
        far.NCEAutoRec(8, regularization=[1.0, 2.0, 1.0]),
        far.NCEPLRec([4, 6, 8]),
        far.NCEPLRec([4, 8], regularization=[1.0, 2.0]),
        far.PureSVD([4, 8]),
        far.EASE([10.0, 20.0]),
    ],
)
def test_values_that_validation_data_choose_among_take_passes(model: Any, tmp_path: Path) -> None:
    train, held = far.split(named(MATRIX), (0.7, 0.3), by="random")
    train.to_disk(tmp_path / "train")
    held.to_disk(tmp_path / "held")
    engine = Counting()
    distributed.fit(model, tmp_path / "train", tmp_path / "held", engine=engine)
    assert distributed.plan(model, tmp_path / "train").passes == engine.passes


@pytest.mark.parametrize("model", [far.EASE(), far.NCEAutoRec(50), far.PureSVD([4, 50]), far.NCEPLRec(50)])
def test_plans_refuse_what_fits_refuse(model: Any, folder: Path) -> None:
    held = folder if isinstance(model, far.PureSVD) else None
    with pytest.raises(ValueError, match=r"^`(state_bytes|factors)`") as of_fit:
        distributed.fit(model, folder, held, state_bytes=1000)
    with pytest.raises(ValueError, match=r"^`(state_bytes|factors)`") as of_plan:
        distributed.plan(model, folder, state_bytes=1000)
    assert str(of_plan.value) == str(of_fit.value)
    for wrong in ((), (10, 10)):
        with pytest.raises(ValueError, match=r"`data` must be \(users, items, interactions\) or folders as in `fit`"):
            distributed.plan(model, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["NCE", "NCE relu", "NCEPLRec"])
def test_many_factors_take_other_passes(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = Counting()
    distributed.fit(MODELS[name](), folder, engine=fewer)
    for number in ("MANY", "WIDE"):
        monkeypatch.setattr(closed_form, number, 4)
    monkeypatch.setattr(closed_form, "MANY_SHARE", 0.0)
    engine = Counting()
    distributed.fit(MODELS[name](), folder, engine=engine)
    assert distributed.plan(MODELS[name](), folder).passes == engine.passes < fewer.passes


def measured(folder: Path, data: far.Interactions, *arguments: str) -> list[int]:
    """Return the peaks of a fit in a process of its own."""
    data.to_disk(folder / "data")
    script = folder / "peak.py"
    script.write_text(PEAK)
    command = [sys.executable, script, folder / "data", *arguments]
    return [int(size) for size in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


@LINUX
@pytest.mark.grid
def test_the_peaks_of_driver_and_worker(tmp_path: Path) -> None:
    try:
        metadata.version("distributed")
    except metadata.PackageNotFoundError:
        pytest.skip("needs dask: make test-cluster")
    data = far.Interactions(far.datasets.synthetic(10_000, 150_000, 400_000, random_state=0))
    driver, worker = measured(tmp_path, data, "50001", "96", "0", "dask")
    options: dict[str, Any] = {"engine": "dask", "workers": 2, "shard_entries": 50_001}
    plan = distributed.plan(far.NCEAutoRec(factors=96), (*data.shape, data.nnz), **options)
    assert plan.shards == 8
    assert plan.driver_bytes == pytest.approx(driver, rel=0.15)
    assert plan.worker_bytes == pytest.approx(worker, rel=0.15)


@LINUX
@pytest.mark.parametrize("state", [None, 12_000_000])
def test_the_peak_of_one_process(state: int | None, tmp_path: Path) -> None:
    data = far.Interactions(far.datasets.synthetic(10_000, 150_000, 200_000, random_state=0))
    (peak,) = measured(tmp_path, data, "50001", "64", str(state or 0), "local")
    model, options = far.NCEAutoRec(factors=64), {"shard_entries": 50_001, "state_bytes": state}
    plan = distributed.plan(model, tmp_path / "data", **options)
    assert plan.shards == 4
    assert plan.driver_bytes == pytest.approx(peak, rel=0.15)
    by_shape = distributed.plan(model, (*data.shape, data.nnz), **options)
    assert by_shape == plan
    assert "driver, predicted peak" in str(plan)
    assert not any(word in str(plan) for word in ("worker", "wire", "alone"))
    own = model.plan(data)
    assert own.process_bytes - own.peak_bytes == plan.driver["Python and its libraries"]
    assert f"with Python and its libraries {own.process_bytes / 1e6:,.1f} MB" in " ".join(str(own).split())
    assert plan.worker == {}


def test_an_engine_pays_from_some_size() -> None:
    shape = 10**7, 10**5, 10**9
    few, many = (distributed.plan(far.NCEAutoRec(), shape, engine="spark", workers=count) for count in (1, 100_000))
    assert few.pays_from is None
    assert many.pays_from is not None
    assert few.driver_bytes > few.message_bytes > 0
    assert "time of a pass: not less than on this machine alone, for the workers have no more threads" in str(few)
    assert f"time of a pass: less than on this machine alone from {many.pays_from:,} interactions on" in str(many)
    assert "no products to share" in str(distributed.plan(far.Popularity(), shape, engine="ray", workers=100_000))
    assert distributed.plan(far.NCEAutoRec(), shape, engine=engines.Local()).engine == "local"
    with pytest.raises(ValueError, match="`engine` must be 'local', 'dask', 'ray', 'spark'"):
        distributed.plan(far.NCEAutoRec(), shape, engine=Counting())
    with pytest.raises(TypeError, match="`engine` must be 'local'"):
        distributed.plan(far.NCEAutoRec(), shape, engine=3)
    with pytest.raises(ValueError, match="`workers` must be >= 1"):
        distributed.plan(far.NCEAutoRec(), shape, engine="dask", workers=0)
    with pytest.raises(ValueError, match="exact solution from sums over users"):
        distributed.plan(far.NSAutoRec(), shape)
