"""Checkpoints: a run that continues from one has the bits of a run that was never interrupted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autoencoders import CASES, FEW, every_device, make, same_bits, train_and_held_out

import fastautorec as far
from fastautorec._training import archive as _model_file
from fastautorec._training import checkpoint as _checkpoint
from fastautorec.exceptions import ModelFileError

TRAIN, HELD_OUT = train_and_held_out()


class CrashError(Exception):
    """What ends a run."""


class CrashAt:
    """A callback that fails."""

    def __init__(self, phase: str, epoch: int) -> None:
        self._at = phase, epoch

    def __call__(self, record: dict[str, Any]) -> None:
        if (record["phase"], record["epoch"]) == self._at and "loss" in record:
            raise CrashError


@pytest.fixture(autouse=True)
def after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkpoint, "SHARE", 1e9)


def without_times(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def check_continuation(path: Path, case: str, crash: CrashAt, data: tuple[Any, ...] = (TRAIN,), **params: Any) -> Any:
    """Crash, continue with another model object, and compare with a run without a crash."""
    expected = make(case, **params).fit(*data)
    with pytest.raises(CrashError):
        make(case, **params).fit(*data, callbacks=[crash], checkpoint=path)
    seen: list[dict[str, Any]] = []
    continued = make(case, **params).fit(*data, callbacks=[seen.append], resume=path)
    same_bits(continued, expected)
    assert without_times(continued.history_) == without_times(expected.history_)
    assert 0 < len(seen) < len(expected.history_)
    for name in ("regularization_", "decays_", "skipped_users_", "n_users_"):
        assert getattr(continued, name) == getattr(expected, name)
    return continued


PLACES = [
    (case, device, phase.name, epoch)
    for case in CASES
    for phase in make(case)._objective().phases
    for epoch in (2, 3)
    for device in ("cpu", "reference")[: 1 + (case in FEW and epoch == 2)]
]


@pytest.mark.parametrize(("case", "device", "phase", "epoch"), PLACES)
@pytest.mark.parametrize("held_out", [(), (HELD_OUT,)], ids=["loss decides", "metric decides"])
def test_continuation(tmp_path: Path, case: str, device: str, phase: str, epoch: int, held_out: Any) -> None:
    params = {"solver": "gradient"} if " " in case else {}
    check_continuation(
        tmp_path / "c.npz", case, CrashAt(phase, epoch), (TRAIN, *held_out), device=device, schedule="cosine", **params
    )


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@every_device
def test_optimizers_continue(tmp_path: Path, optimizer: str, device: str) -> None:
    params = {"optimizer": optimizer, "weight_decay": 3.0, "device": device}
    check_continuation(tmp_path / "c.npz", "NCEAutoRec joint", CrashAt("joint", 3), **params)


@pytest.mark.parametrize("phase", ["embedding", "prediction"])
@pytest.mark.parametrize("init", ["random", "svd"])
@every_device
def test_exact_solutions_continue(tmp_path: Path, init: str, phase: str, device: str) -> None:
    """The penalty chosen before a phase, and those that it goes on with, are part of the state."""
    params = {"init": init, "regularization": [100.0, 0.1, 1e-3], "device": device, "popularity_discount": 0.1}
    model = check_continuation(tmp_path / "c.npz", "NCEAutoRec full", CrashAt(phase, 2), (TRAIN, HELD_OUT), **params)
    assert model.regularization_ != 100.0


@every_device
def test_patience_continues(tmp_path: Path, device: str) -> None:
    params = {"epochs": 30, "patience": 3, "learning_rate": 0.3, "device": device}
    model = check_continuation(tmp_path / "c.npz", "AutoRec", CrashAt("prediction", 4), (TRAIN, HELD_OUT), **params)
    assert len(model.history_) < 31


def test_a_phase_that_a_callback_has_ended_stays_ended(tmp_path: Path) -> None:
    """The crash comes before the first checkpoint of the second phase."""

    def stop(record: dict[str, Any]) -> bool:
        return (record["phase"], record["epoch"]) == ("embedding", 2)

    params = {"solver": "gradient", "epochs": 5, "device": "reference"}
    expected = make("NCEAutoRec full", **params).fit(TRAIN, callbacks=[stop])
    with pytest.raises(CrashError):
        make("NCEAutoRec full", **params).fit(
            TRAIN, callbacks=[stop, CrashAt("prediction", 1)], checkpoint=tmp_path / "c.npz"
        )
    continued = make("NCEAutoRec full", **params).fit(TRAIN, callbacks=[stop], resume=tmp_path / "c.npz")
    same_bits(continued, expected)


def test_a_generator_as_seed(tmp_path: Path) -> None:
    for case in ("AutoRec", "OHNSAutoRec"):
        path = tmp_path / "c.npz"
        expected = make(case, random_state=np.random.default_rng(8)).fit(TRAIN)
        with pytest.raises(CrashError):
            make(case, random_state=np.random.default_rng(8)).fit(
                TRAIN, callbacks=[CrashAt(expected.history_[0]["phase"], 2)], checkpoint=path
            )
        other = np.random.default_rng(9)  # the checkpoint tells the streams
        same_bits(make(case, random_state=other).fit(TRAIN, resume=path), expected)
        assert not np.array_equal(make(case, random_state=7).fit(TRAIN).encoder_, expected.encoder_)


def test_the_same_file_may_be_continued_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    expected = make("AutoRec", epochs=6).fit(TRAIN)
    for epoch in (2, 4, 6):
        with pytest.raises(CrashError):
            make("AutoRec", epochs=6).fit(
                TRAIN, callbacks=[CrashAt("prediction", epoch)], checkpoint=path, resume=path if epoch > 2 else None
            )
    same_bits(make("AutoRec", epochs=6).fit(TRAIN, checkpoint=path, resume=path), expected)


def test_other_devices_and_threads_may_continue(checkpoint: Path) -> None:
    model = make("AutoRec", device="reference").fit(TRAIN, resume=checkpoint)
    expected = make("AutoRec", num_threads=3).fit(TRAIN)
    np.testing.assert_allclose(model.predict(TRAIN), expected.predict(TRAIN), rtol=0, atol=1e-4)


def test_writing_takes_a_twentieth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, written = [0.0], []
    monkeypatch.setattr(_checkpoint, "SHARE", 0.05)
    monkeypatch.setattr(_checkpoint.time, "perf_counter", lambda: now[0])

    def slow(*_: Any) -> None:
        written.append(now[0])
        now[0] += 1

    monkeypatch.setattr(_checkpoint._model_file, "write", slow)
    target = _checkpoint.Checkpoint(tmp_path / "c.npz")
    for second in range(100, 200):
        now[0] = max(now[0], second)
        target.write(lambda: ({}, {}))
    assert written == [100, 121, 142, 163, 184]


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(CrashError):
        make("AutoRec").fit(TRAIN, callbacks=[CrashAt("prediction", 3)], checkpoint=path)
    return path


REFUSED = [
    (lambda path: make("AutoRec", factors=6).fit(TRAIN, resume=path),
     r"its parameters differ \(factors=8 there and 6 here\); continue with the same model, parameters, data and ver"),
    (lambda path: make("AutoRec", epochs=9, dropout=0.1).fit(TRAIN, resume=path),
     r"dropout=0.5 there and 0.1 here, epochs=3 there and 9 here|epochs=3 .* dropout=0.5 there and 0.1 here"),
    (lambda path: make("AutoRec", random_state=1).fit(TRAIN, resume=path), "random_state=0 there and 1 here"),
    (lambda path: make("AutoRec", random_state=np.random.default_rng(0)).fit(TRAIN, resume=path),
     "random_state=0 there and 'a generator' here"),
    (lambda path: make("NCEAutoRec joint").fit(TRAIN, resume=path),
     "its model differ.*'AutoRec' there, 'NCEAutoRec' here"),
    (lambda path: make("AutoRec").fit(HELD_OUT, resume=path), r"its training data differ \(other interactions\)"),
    (lambda path: make("AutoRec").fit(TRAIN[:, ::-1], resume=path), "its training data differ"),
    (lambda path: make("AutoRec").fit(TRAIN[:50], resume=path), "its training data differ"),
    (lambda path: make("AutoRec").fit(TRAIN, HELD_OUT, resume=path), r"its validation data differ \(none there\)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_another_run(checkpoint: Path, call: Any, message: str) -> None:
    with pytest.raises(ModelFileError, match="`resume`='.*' belongs to another run.*" + message):
        call(checkpoint)


def test_a_refused_continuation_keeps_the_former_state(checkpoint: Path) -> None:
    model = make("AutoRec", factors=6).fit(TRAIN)
    before = model.predict(TRAIN)
    with pytest.raises(ModelFileError):
        model.fit(TRAIN, resume=checkpoint)
    np.testing.assert_array_equal(model.predict(TRAIN), before)


def rewrite(path: Path, change: Any) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes())
    change(header)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)


def test_another_version(checkpoint: Path) -> None:
    rewrite(checkpoint, lambda header: header["identity"].update(version="0.0.1"))
    with pytest.raises(ModelFileError, match=r"its version differ \('0\.0\.1' there, '.*' here\)"):
        make("AutoRec").fit(TRAIN, resume=checkpoint)
    rewrite(checkpoint, lambda header: header.update(format_version=99))
    with pytest.raises(ModelFileError, match=r"has checkpoint format 99.*update fastautorec"):
        make("AutoRec").fit(TRAIN, resume=checkpoint)


@pytest.mark.parametrize("name", ["identity", "progress", "steps", "history", "notes"])
def test_a_header_with_a_gap(checkpoint: Path, name: str) -> None:
    rewrite(checkpoint, lambda header: header.pop(name))
    with pytest.raises(ModelFileError, match="is not a readable checkpoint file"):
        make("AutoRec").fit(TRAIN, resume=checkpoint)


def test_model_and_checkpoint_are_not_confused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"is not a fastautorec model file; write one with model\.save\(path\)"):
        far.load(checkpoint)
    make("AutoRec").fit(TRAIN).save(tmp_path / "model.npz")
    with pytest.raises(ModelFileError, match=r"not a fastautorec checkpoint file; write one with fit\(\.\.\., check"):
        make("AutoRec").fit(TRAIN, resume=tmp_path / "model.npz")


def test_damaged_and_missing_files(checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    for size in range(0, len(whole), len(whole) // 20):
        checkpoint.write_bytes(whole[:size])
        with pytest.raises(ModelFileError, match="checkpoint"):
            make("AutoRec").fit(TRAIN, resume=checkpoint)
    expected, noticed = make("AutoRec").fit(TRAIN), 0
    for place in range(1000, len(whole), len(whole) // 20):
        checkpoint.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            same_bits(make("AutoRec").fit(TRAIN, resume=checkpoint), expected)  # a time stamp of the archive, say
        except ModelFileError:
            noticed += 1
    assert noticed > 12
    with pytest.raises(FileNotFoundError, match=r"no checkpoint file at .*nothing\.npz"):
        make("AutoRec").fit(TRAIN, resume=tmp_path / "nothing.npz")


@every_device
def test_a_folder_that_does_not_exist_is_noticed_before_training(tmp_path: Path, device: str) -> None:
    seen: list[Any] = []
    with pytest.raises(FileNotFoundError, match=r"`checkpoint`='.*no such.*' is in a folder that does not exist"):
        make("AutoRec", device=device).fit(TRAIN, callbacks=[seen.append], checkpoint=tmp_path / "no such folder" / "c")
    with pytest.raises(IsADirectoryError, match=r"`checkpoint`='.*' is a folder; name a file in it"):
        make("AutoRec", device=device).fit(TRAIN, callbacks=[seen.append], checkpoint=tmp_path)
    assert not seen


def test_a_failing_write_leaves_the_old_file(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = checkpoint.read_bytes()

    def fail(file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_model_file.np, "savez", fail)
    with pytest.raises(OSError, match="No space left"):
        make("AutoRec").fit(TRAIN, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before
    assert [file.name for file in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_a_callback_that_changes_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    def away(_: dict[str, Any]) -> None:
        os.chdir(tmp_path / "elsewhere")

    far.NSAutoRec(factors=4, epochs=2).fit(TRAIN, callbacks=[away], checkpoint="c.npz")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["c.npz", "elsewhere"]
    os.chdir(tmp_path)
    far.NSAutoRec(factors=4, epochs=2).fit(TRAIN, callbacks=[away], resume="c.npz", checkpoint="d.npz")
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == []
