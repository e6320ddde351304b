"""The benchmark of the GPU runs: its functions work on the emulated device at toy sizes, and its checks can fail."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_emulation import EmulatedDevice

import fastautorec as far
from fastautorec._compute.cuda.backend import CudaBackend

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))
pytest.importorskip("benchmarks.gpu", reason="the benchmarks are in the repository only")

from benchmarks import _gpu_jobs as jobs
from benchmarks import gpu as program
from benchmarks.gpu import Measurements, Row, Settings, markdown

TOY = Settings(
    shapes={"goodbooks": (150, 40, 6000), "ml-20m": (160, 50, 5000)},
    factors=8, batch_size=140, negatives=30, top=7, seconds=0.0, fewest=1, torch_device="cpu",
)  # fmt: skip
HAS_TORCH = importlib.util.find_spec("torch") is not None


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(Measurements({False: EmulatedDevice(), True: EmulatedDevice()}, do_nothing, TOY).rows())


def do_nothing() -> None:
    """Wait for the emulated device, which does all work at once."""


def of(rows: list[Row], section: str) -> dict[str, Row]:
    return {row.name: row for row in rows if row.section.startswith(section)}


@pytest.mark.grid
def test_answers_are_checked_first(rows):
    assert [row.section for row in rows[:5]] == ["Answers"] * 5
    assert "the bits of the CPU" in rows[4].remarks


@pytest.mark.grid
def test_every_target_has_its_row(rows):
    found = of(rows, "Jobs")
    targets = {name.partition(" (")[0]: row.at_most for name, row in found.items() if row.at_most}
    assert targets == {
        "epoch of NCEAutoRec, joint, goodbooks": 0.0105,
        "epoch of NCEAutoRec, joint, ml-20m": 0.032,
        "closed-form fit, goodbooks": 0.06,
        "closed-form fit, ml-20m": 0.15,
        "30 negatives for all users, goodbooks": 0.02,
        "recommend, top 7, ml-20m": 160 / 1e6,
    }
    assert all(row.seconds > 0 for row in found.values())
    (ranking,) = (row for name, row in found.items() if name.startswith("ranking of 160 users, ml-20m"))
    assert ranking.at_least == 5
    assert ranking.peer > 0
    fits = [row.remarks for row in rows if row.name.startswith("closed-form fit")]
    assert fits == ["interactions on the host", "interactions on the device"] * 4


@pytest.mark.grid
def test_the_peer_is_named_or_missed(rows):
    for name, row in of(rows, "Jobs").items():
        if name.startswith("epoch"):
            assert (row.peer is not None) == HAS_TORCH
            assert ("fused Adam" if HAS_TORCH else "PyTorch is not installed") in row.remarks


def test_without_torch_there_is_no_peer(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    work = Measurements({False: EmulatedDevice()}, do_nothing, TOY)
    first = next(work.epochs("goodbooks"))
    assert first.peer is None
    assert first.remarks == "PyTorch is not installed"


@pytest.mark.grid
def test_one_table(rows):
    text = markdown({"GPU": "none"}, rows)
    lines = text.splitlines()
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    assert len({line.count("|") for line in lines}) == 1
    assert sum("---" in line for line in lines) == 1
    assert "| **Machine** |" in text
    assert "≤ 60 ms, " in text


def test_cells_of_a_row():
    met = Row("A", "b", 0.5, peer=4.0, at_most=0.5, at_least=9, remarks="c")
    assert "| b | 500 ms | 4.00 s | 8.0× | ≤ 500 ms, met; 9×, **not met** | c |" in markdown({}, [met])


def test_results_are_stored(tmp_path):
    program.store(tmp_path / "new" / "gpu.json", {"GPU": "none"}, [Row("A", "b", 0.5)])
    stored = json.loads((tmp_path / "new" / "gpu.json").read_text())
    assert stored["machine"] == {"GPU": "none"}
    assert (stored["rows"][0]["name"], stored["rows"][0]["seconds"]) == ("b", 0.5)


def test_the_official_sizes():
    official = Settings()
    assert (official.factors, official.batch_size, official.negatives, official.top) == (200, 1024, 500, 50)
    assert official.shapes == {name: far.datasets.PAPER_SHAPES[name] for name in ("goodbooks", "ml-20m")}
    assert jobs.data((90, 30, 1001)).nnz == 500


# --- checks that can fail -------------------------------------------------------------------------------------------


class Wrong(EmulatedDevice):
    """Computes products that are off by a hundredth."""

    def gemm(self, a, b, out, alpha=1.0, **options):
        super().gemm(a, b, out, alpha * 1.01, **options)


def test_wrong_products_are_found():
    with pytest.raises(jobs.WrongAnswerError, match="trains a model with other scores than the CPU"):
        jobs.check_training(Wrong(), tf32=False)
    with pytest.raises(jobs.WrongAnswerError, match="solves a model with other scores than the CPU"):
        jobs.check_fit(Wrong(), tf32=False)


def test_other_negatives_are_found():
    backend = CudaBackend(EmulatedDevice())
    work = jobs.Negatives(backend, jobs.data((50, 20, 400)), 10)
    work.check()
    work._there = work._there + 1
    with pytest.raises(jobs.WrongAnswerError, match="other negatives"):
        work.check()


def test_other_lists_are_found(monkeypatch):
    train = jobs.data((50, 30, 800))
    with jobs.opened(EmulatedDevice()) as backend:
        model = far.NCEAutoRec(factors=8, device="cuda").fit(train)
        work = jobs.Lists(backend, model, train, 5)
        work.check()
        ids, _ = work.recommend()
        rows, scores = next(work.tiles())
        np.testing.assert_array_equal(work.rank(rows, scores)[0].get(), ids)
        with monkeypatch.context() as patch:
            patch.setattr(model, "recommend", lambda *args, **kwargs: (ids, np.zeros(ids.shape, np.float32)))
            with pytest.raises(jobs.WrongAnswerError, match="recommend lists other scores"):
                work.check()
        monkeypatch.setattr(jobs.Lists, "rank", lambda self, rows, scores: self.backend.top_items(scores, 5, None))
        with pytest.raises(jobs.WrongAnswerError, match="argpartition list other scores"):
            work.check()


def test_other_losses_are_found():
    jobs.check_losses({"a": 1.0}, {"a": 1.01})
    for other in (1.03, float("nan")):
        with pytest.raises(jobs.WrongAnswerError, match="loss of the a head"):
            jobs.check_losses({"a": 1.0}, {"a": other})


# --- its parts ------------------------------------------------------------------------------------------------------


def test_the_device_is_put_back():
    from fastautorec._compute import cuda as _cuda

    before = _cuda.open_device
    with jobs.opened(EmulatedDevice()):
        assert _cuda.open_device is not before
    assert _cuda.open_device is before
    with pytest.raises(jobs.WrongAnswerError):
        jobs.check_fit(Wrong(), tf32=False)
    assert _cuda.open_device is before


def test_a_job_is_timed_after_it_has_compiled_and_with_waits_around_it():
    calls = []
    work = Measurements({False: EmulatedDevice()}, lambda: calls.append("wait"), TOY)
    assert work.wall(lambda: calls.append("call")) < 1
    assert calls == ["call", "wait", "call", "wait"]


class FakeCupy:
    """The parts of CuPy that the program uses."""

    __version__ = "14.2.0"

    def __init__(self) -> None:
        properties = {"name": b"Toy GPU", "totalGlobalMem": 8 << 30, "major": 9, "minor": 0}
        runtime = SimpleNamespace(
            getDeviceProperties=lambda ordinal: properties,
            driverGetVersion=lambda: 13000,
            runtimeGetVersion=lambda: 12090,
        )
        self.cuda = SimpleNamespace(runtime=runtime)


class OneRow:
    """Takes the place of the measurements."""

    def __init__(self, devices, wait, settings) -> None:
        self.precisions = [device.precision for device in devices.values()]

    def rows(self):
        yield Row("A", "b", 0.5, remarks=str(self.precisions))


class WrongRow(OneRow):
    def rows(self):
        yield Row("A", "b", 0.5)
        raise jobs.WrongAnswerError("two is not three")


@pytest.fixture
def with_gpu(monkeypatch):
    """A machine with a GPU, as far as the program can see."""

    def opened(cupy, ordinal):
        device = EmulatedDevice()
        device.precision = os.environ[program.TF32_VARIABLE]
        return device

    monkeypatch.setitem(sys.modules, "cupy", FakeCupy())
    monkeypatch.setattr(program._cuda, "open_device", lambda ordinal: None)
    monkeypatch.setattr(program, "CupyDevice", opened)
    monkeypatch.setattr(program, "Measurements", OneRow)
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu"])
    return monkeypatch


@pytest.mark.parametrize("setting", [None, "1"])
def test_the_program(with_gpu, capsys, tmp_path, setting):
    with_gpu.delenv(program.TF32_VARIABLE, raising=False)
    if setting is not None:
        with_gpu.setenv(program.TF32_VARIABLE, setting)
    with_gpu.setattr(sys, "argv", ["benchmarks.gpu", "--json", str(tmp_path / "gpu.json"), "--shrink", "20"])
    assert program.main() == 0
    printed = capsys.readouterr()
    assert "Toy GPU, 8 GiB, compute capability 9.0 |" in printed.out
    assert "CUDA 13.0 |" in printed.out
    assert "| 14.2.0, CUDA 12.9 |" in printed.out
    assert "divided by 20: not the official sizes" in printed.out
    assert "| b | 500 ms |  |  |  | ['0', '1'] |" in printed.out
    assert printed.err == "A: b\n"
    assert (tmp_path / "gpu.json").exists()
    assert os.environ.get(program.TF32_VARIABLE) == setting


def test_a_wrong_answer_ends_the_program(with_gpu, capsys):
    with_gpu.setattr(program, "Measurements", WrongRow)
    assert program.main() == program.WRONG
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.endswith("benchmarks.gpu: two is not three; nothing is reported\n")


def test_sizes_of_a_trial():
    assert program.sizes(20).shapes["goodbooks"] == (2670, 10_000, 274_651)
    assert program.sizes(1) == Settings()


def test_without_a_gpu_it_says_so():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == program.NO_GPU
    assert done.stderr.startswith("benchmarks.gpu needs a GPU: ")
    assert "Traceback" not in done.stderr
    assert not done.stdout
