"""The benchmarks run: all of them at small sizes, with checks of their answers; report and comparison can be made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

pytest.importorskip("pytest_benchmark", reason="the benchmarks need pytest-benchmark; pip install --group dev")
pytest.importorskip("matplotlib", reason="the report has pictures; pip install 'fastautorec[plot]'")

ROOT = Path(__file__).parents[2]
if (ROOT / "benchmarks").is_dir():
    sys.path.append(str(ROOT))
else:
    pytest.skip("the benchmarks are in the repository only", allow_module_level=True)

from benchmarks import compare, report
from benchmarks._common import MOVIELENS, OFFICIAL, QUICK, knows, movielens
from benchmarks._operations import OPERATIONS
from benchmarks._results import Results
from benchmarks._targets import (
    TARGETS,
    Better,
    Faster,
    Target,
    closed_form,
    exponent,
    joint_epoch,
    quality,
    rates,
    roofs,
    wholes,
)  # fmt: skip


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a module on one thread: the libraries' threads wait in loops for each other where other things run too.

    Of several processes of pytest-xdist it is none: there pytest-benchmark writes nothing.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=600,
        check=False, env={**own, "FASTAUTOREC_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everything, run once as `make bench` does."""
    path = tmp_path_factory.mktemp("benchmarks")
    done = run("benchmarks", "--quick", "--out", path, "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return path


@pytest.fixture(scope="module")
def raw(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.fixture
def results(raw):
    return Results(json.loads(json.dumps(raw)))


# --- everything runs --------------------------------------------------------------------------------------------------


@pytest.mark.grid
def test_every_table_is_there(results):
    tables = {result.key[0] for result in results}
    assert tables == {
        "fit", "svd", "epoch", "quality", "evaluate", "recommend", "latency", "shapes", "growth", "ops", "kernels",
        "sampling", "draws", "machine",
    }  # fmt: skip
    assert results.rows("kernels") == list(OPERATIONS)
    assert all(min(result.times) > 0 for result in results)
    assert set(results.durations) == {path.name for path in (ROOT / "benchmarks").glob("bench_*.py")}


@pytest.mark.grid
def test_the_machine_is_named(results):
    assert results.machine["quick"]
    assert len(results.machine["signature"]) == 12
    assert results.machine["packages"]["numpy"] == np.__version__


@pytest.mark.grid
def test_the_report_has_every_section_and_picture(folder):
    text = (folder / "report.md").read_text()
    for title in ("Targets", "Time to quality", "Recommending", "Growth of time and memory", "Roofline", "The run"):
        assert f"\n## {title}\n" in text
    assert "small: a trial of the machinery" in text
    assert text.count("](") == 2
    for picture in ("scaling.png", "quality.png"):
        assert f"]({picture})" in text
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.grid
def test_a_fresh_process_does_not_count_its_parent(results):
    peaks = [result.info["peak"] for result in results if result.key[0] == "shapes"]
    assert len(peaks) == 9
    assert max(peaks) < 300e6


@pytest.mark.grid
def test_a_trial_is_not_published(folder):
    before = (ROOT / "docs" / "benchmarks" / "speed.md").read_bytes()
    done = run("benchmarks.report", folder / "results.json", "--publish")
    assert done.returncode == 2
    assert "a trial run is not to be published" in done.stderr
    assert (ROOT / "docs" / "benchmarks" / "speed.md").read_bytes() == before


def test_the_page_can_take_a_report():
    text = (ROOT / "docs" / "benchmarks" / "speed.md").read_text()
    assert all(text.count(marker) == 1 for marker in report.MARKERS)


# --- two runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.grid
def test_a_run_equals_itself(folder):
    done = run("benchmarks.compare", folder / "results.json", folder / "results.json")
    assert done.returncode == 0, done.stderr
    assert "worse" not in done.stdout
    assert "better" not in done.stdout
    assert "Only in" not in done.stdout


@pytest.mark.grid
def test_what_changed_comes_worst_first(raw, results):
    changed = json.loads(json.dumps(raw))
    kernels = [entry for entry in changed["benchmarks"] if entry["extra_info"]["table"] == "kernels"]
    for entry, factor in zip(kernels, (3, 0.2, 5, 1.05), strict=False):
        entry["stats"]["data"] = [factor * seconds for seconds in entry["stats"]["data"]]
    (shape, *_) = (entry for entry in changed["benchmarks"] if entry["extra_info"]["table"] == "shapes")
    shape["extra_info"]["peak"] *= 1.5
    gone = changed["benchmarks"].remove(next(e for e in changed["benchmarks"] if e["extra_info"]["table"] == "svd"))
    assert gone is None
    found = compare.changes(results, Results(changed))
    assert [round(change.ratio, 6) for change in found[:3]] == [5, 3, 1.5]
    assert [change.verdict for change in found[:3]] == ["**worse**"] * 3
    assert found[2].unit == "B"
    assert (found[-1].verdict, round(found[-1].ratio, 6)) == ("better", 0.2)
    assert {change.verdict for change in found[3:-1]} == {"same"}
    text = compare.report(results, Results(changed))
    assert text.count("**worse**") == 3
    assert "Only in the old run: svd:" in text
    changed["machine_info"]["report"]["signature"] = "another"
    assert "The machines differ" in compare.report(results, Results(changed))


def made(times, info=None, key=("ops", "a", "C++")):
    return {
        "extra_info": {"table": key[0], "row": key[1], "column": key[2], **(info or {})}, "stats": {"data": times}
    }  # fmt: skip


def of(*benchmarks):
    return Results({
        "datetime": "2020-01-01T00:00", "machine_info": {"report": {"signature": "x"}}, "durations": {}, "left_out": {},
        "benchmarks": list(benchmarks),
    })  # fmt: skip


def test_bands():
    (one,), (few,), (many,) = of(made([2.0])), of(made([1.0, 2.0, 4.0])), of(made(list(np.linspace(1, 3, 201))))
    assert compare.spread(one) == pytest.approx((2 / 1.1, 2, 2.2))
    assert compare.spread(few) == (1, 2, 4)
    assert compare.spread(many) == pytest.approx((1.5, 2, 2.5))
    assert compare.Change("a", (1, 2, 4), (4, 6, 8)).band == (1, 8)


# --- what the report computes -----------------------------------------------------------------------------------------


def test_times_are_scaled_or_told():
    results = of(made([2.0], {"share": 0.5}), made([9.0], {"times": [1.0, 3.0]}, ("ops", "b", "C++")))
    assert [result.times for result in results] == [(4.0,), (1.0, 3.0)]


def test_the_fastest_peer_counts():
    results = of(
        made([1.0], key=("fit", "on ML-1M", "ours")), made([9.0], key=("fit", "on ML-1M", "peer, slow")),
        made([4.0], key=("fit", "on ML-1M", "peer, fast")), made([1.0], key=("fit", "other", "ours")),
    )  # fmt: skip
    assert Faster("fit", "ML-1M", "ours", "peer")(results) == 4
    assert Faster("fit", "other", "ours", "peer")(results) is None


def test_peers_in_turn_count_by_the_minutes_they_share():
    results = of(
        made([1.0], key=("fit", "ML-1M", "ours")), made([9.0], {"beside": [1.0, 3.0]}, ("fit", "ML-1M", "peer, slow")),
        made([5.0], key=("fit", "ML-1M", "peer, fast")),
    )  # fmt: skip
    assert [result.over(results.get("fit", "ML-1M", "ours")) for result in results] == [1, 4.5, 5]
    assert Faster("fit", "ML-1M", "ours", "peer")(results) == 4.5


def test_the_best_peer_counts():
    def fit(column, **info):
        return made([1.0], info, ("fit", "ML-1M", column))

    peers = fit("peer, a", ndcg=0.1), fit("peer, b", ndcg=0.3)
    better = Better("fit", "ML-1M", "ours", "peer")
    assert better(of(fit("ours", ndcg=0.25), *peers)) == pytest.approx(-0.05)
    assert better(of(fit("ours"), *peers)) is None
    assert better(of(fit("ours", ndcg=0.25))) is None


@pytest.mark.grid
def test_every_target_finds_its_figure(results):
    """But those of batches that a trial leaves out, and of PyTorch where it is missing."""
    missing = {target.what for target in TARGETS if target.figure(results) is None}
    assert all("PyTorch" in what for what in missing)


def test_targets_say_whether_they_are_met():
    results = of(made([1.0], key=("sampling", "x", "C++")), made([29.0], key=("sampling", "x", "NumPy multinomial")))
    (target,) = (target for target in TARGETS if target.what == "negatives: against NumPy multinomial")
    assert target.cells(results) == ("negatives: against NumPy multinomial", "29.0×", "≥ 30.0×", "**not met**")


def test_time_to_the_quality_of_the_peer():
    def curve(row, kind, points):
        return made([1.0], {"points": points}, ("quality", row, kind))

    ours = curve("NCE-AutoRec, closed form", "NCEAutoRec()", [[0.1, 0.2]])
    torch = "PyTorch, as the paper trains"
    joint = curve("NCE-AutoRec, joint", torch, [[1, 0.1], [4, 0.18], [9, 0.17]])
    limited = curve("NCE-AutoRec, limited", torch, [[1, 0.1], [30, 0.19]])
    assert quality(of(ours, joint, limited)) == pytest.approx(40)
    assert quality(of(ours, joint, curve("NCE-AutoRec, limited", torch, [[1, 0.3]]))) == 0
    assert quality(of(joint)) is None


def test_floors(monkeypatch, tmp_path):
    machine = [
        made([1.0], {"bytes": 10}, ("machine", "memory", "copy")),
        made([1.0], {"bytes": 100}, ("machine", "cache", "dot product")),
        made([2.0], {"flop": 2000}, ("machine", "arithmetic", "matrix product")),
    ]
    needs = {"traffic": 20, "gathered": 100, "flop": 1000, "why": "because"}
    results = of(*machine, made([8.0], needs, ("kernels", "a", "C++")))
    assert rates(results) == {"memory": 10, "cache": 100, "arithmetic": 1000}
    (roof,) = roofs(results)
    assert (roof.bound, roof.floor, roof.over, roof.why) == ("memory", 2, 4, "because")
    assert roofs(of(*machine[1:])) == []
    ours = made([12.0], {"gathered": 300, "flop": 2000}, ("fit", "ML-1M", "NCEAutoRec()"))
    peer = made([24.0], key=("fit", "ML-1M", "peer"))
    results = of(*machine, ours, peer, made([1.0], key=("epoch", "b", "fastautorec")))
    (whole,) = wholes(results)
    assert (whole.cache, whole.arithmetic, whole.floor) == (3, 2, 5)
    assert wholes(of(ours)) == []
    target = Target("a", Faster("fit", "ML-1M", "NCEAutoRec()", "peer"), 6)
    monkeypatch.setattr(report, "TARGETS", [target])
    assert "5.00 s; asked 4.00 s" in report.targets(results, tmp_path)
    assert "| ML-1M, NCEAutoRec() | 12.00 s | 3.00 s | 2.00 s | 5.00 s | 2.4× |" in report.whole_runs(results)
    monkeypatch.setattr(report, "TARGETS", [replace(target, limit=2)])
    assert "asked" not in report.targets(results, tmp_path)


def test_needs_of_whole_fits_and_epochs():
    fit, wider = closed_form(1000, 500, 20_000, 84), closed_form(1000, 500, 20_000, 184)
    assert 2 < wider["gathered"] / fit["gathered"] < 184 / 84  # rows of k and of k + 16 values
    assert 2**2 < wider["flop"] / fit["flop"] < (184 / 84) ** 2
    by_tiles, by_gram = (joint_epoch(1000, 500, 20_000, 50, batch, 2) for batch in (10, 1000))
    assert by_tiles == {key: 2 * value for key, value in joint_epoch(500, 500, 10_000, 50, 10, 2).items()}
    assert by_tiles["flop"] == 3 * 2 * (1000 * 500 * 50) * 2  # three products for each of two heads
    assert by_gram["flop"] < by_tiles["flop"]


def test_exponents():
    assert exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)


# --- data -------------------------------------------------------------------------------------------------------------


def test_known_items_are_told_from_chance():
    history = sparse.csr_matrix(np.eye(8, dtype=np.float32))
    assert knows(np.eye(8), history)
    assert not knows(-np.eye(8), history)
    assert not knows(np.ones((8, 8)), history)


def test_drawn_data_takes_the_place_of_missing_data(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks._common.SHARED", tmp_path)
    data = movielens()
    assert data.name == "drawn data of the size of ML-1M"
    shape, counts = MOVIELENS
    assert data.known.shape == shape
    assert (data.known.nnz, data.test.nnz) == (sum(counts[:2]), counts[2])
    assert (OFFICIAL.units, OFFICIAL.batches, OFFICIAL.newcomers[1]) == (200, (100, 500, 1024), 50_000)
    assert QUICK.quick
