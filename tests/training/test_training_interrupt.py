"""Progress and Ctrl-C while training runs."""

from __future__ import annotations

import _thread
import threading
import time
from typing import Any

import numpy as np
import pytest
from autoencoders import (
    CASES,
    FEW,
    HELD_OUT,
    TRAIN,
    epochs_of,
    every_case,
    every_device,
    make,
    metric_of,
    phase_of,
    same_bits,
    with_solver,
)

from fastautorec._training import epochs as _training
from fastautorec._training import network as _network

# --- progress and Ctrl-C -----------------------------------------------------------------------------------------


@every_device
def test_progress_shows_speed_loss_and_metric(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = make("NCEAutoRec full", solver="gradient", device=device)
    model.fit(TRAIN, HELD_OUT, show_progress=True)
    shown = capsys.readouterr().err
    for phase in ("embedding", "prediction"):
        last = [record for record in model.history_ if record["phase"] == phase][-1]
        line = next(line for line in reversed(shown.splitlines()) if f"NCEAutoRec {phase}: 100%" in line)
        assert "users/s" in line
        assert f"epoch 3, loss {last['loss']:.4g}, metric {last['metric']:.4g}" in line


class Interrupt:
    """A callback that presses Ctrl-C, once."""

    def __init__(self, phase: str, epoch: int) -> None:
        self.at: tuple[str, int] | None = (phase, epoch)

    def __call__(self, record: dict[str, Any]) -> None:
        if (record["phase"], record["epoch"]) == self.at and "regularization" not in record:
            self.at = None
            raise KeyboardInterrupt


PLACES = [
    (case, device, phase.name, epoch, solver)
    for case in CASES
    for device in ("cpu", "reference")[: 1 + (case in FEW)]
    for solver in (("exact", "gradient") if "limited" in case or "full" in case else ("exact",))
    for phase in make(case)._objective().phases
    for epoch in (0, 2)
    if not (solver == "exact" and "limited" in case and phase.name == "prediction")
]


@pytest.mark.parametrize(("case", "device", "phase", "epoch", "solver"), PLACES)
def test_interrupt_keeps_the_best_state(case: str, device: str, phase: str, epoch: int, solver: str) -> None:
    model = with_solver(case, solver, epochs=6, device=device)
    interrupt = Interrupt(phase, epoch)
    model.fit(TRAIN, HELD_OUT, [interrupt], keep_on_interrupt=True)
    assert interrupt.at is None
    last = model.history_[-1]
    if (last["phase"], last["epoch"]) != (phase, epoch):  # only the solution of the other head may follow
        assert "regularization" in last
        assert epochs_of(model.history_)[-2:] == [(phase, epoch), ("prediction", 0)]
        assert metric_of(model) == last["metric"]
    else:
        assert metric_of(model) == max(record["metric"] for record in phase_of(model.history_, phase))
    assert (model.recommend(TRAIN, N=5)[0] >= 0).all()
    if model.embedding_head_ is not None:
        assert np.isfinite(model.embedding_head_).all()


@every_case
def test_interrupt_within_an_epoch(case: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, inner = [0], _training.EpochLoop._batch

    def interrupted(self: Any, *args: Any) -> None:
        calls[0] += 1
        if calls[0] == 6:  # of 4 an epoch
            raise KeyboardInterrupt
        inner(self, *args)

    monkeypatch.setattr(_training.EpochLoop, "_batch", interrupted)
    model = make(case, device=device)
    with pytest.raises(KeyboardInterrupt):
        model.fit(TRAIN)
    assert not any(name.endswith("_") for name in vars(model))
    calls[0] = 0
    kept = make(case, device=device).fit(TRAIN, HELD_OUT, keep_on_interrupt=True)
    assert kept.history_[1]["epoch"] == 1
    assert sum("loss" in record for record in kept.history_) == 1
    calls[0] = 0
    without = make(case, device=device).fit(TRAIN, keep_on_interrupt=True)
    assert (without.recommend(TRAIN, N=5)[0] >= 0).all()


def test_interrupt_while_the_best_state_is_copied(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = script([0.1, 0.2, 0.3, 0.4])
    calls = [0]

    def interrupted(self: Any, other: Any) -> None:
        calls[0] += 1
        for number, (mine, theirs) in enumerate(zip(self.arrays().values(), other.arrays().values(), strict=True)):
            if (calls[0], number) == (2, 1):  # in epoch 2, after the encoder
                raise KeyboardInterrupt
            mine[...] = theirs

    monkeypatch.setattr(_network.Network, "assign", interrupted)
    model = make("AutoRec", device="reference").fit(TRAIN, HELD_OUT, keep_on_interrupt=True)
    assert len(judged) == 3
    for name, value in judged[2].items():
        np.testing.assert_array_equal(getattr(model, name), value)


@every_case
def test_interrupt_keeps_the_former_state(case: str, device: str) -> None:
    model, again = (make(case, device=device).fit(TRAIN) for _ in range(2))
    with pytest.raises(KeyboardInterrupt):
        model.fit(HELD_OUT, callbacks=[Interrupt(make(case)._objective().phases[0].name, 2)])
    same_bits(model, again)
    assert epochs_of(model.history_) == epochs_of(again.history_)


@pytest.mark.parametrize("keep", [False, True])
@every_device
def test_a_real_interrupt_stops_soon(device: str, keep: bool) -> None:
    pressed: list[float] = []

    def press() -> None:
        pressed.append(time.process_time())
        _thread.interrupt_main()

    timer = threading.Timer(0.2, press)
    model = make("NCEAutoRec joint", epochs=10**6, patience=10**6, device=device)
    timer.start()
    try:
        model.fit(TRAIN, HELD_OUT, keep_on_interrupt=keep)
        assert keep
    except KeyboardInterrupt:
        assert not keep
    assert time.process_time() - pressed[0] < 1  # of the processor: a busy machine takes longer by the clock
    timer.join()
    assert hasattr(model, "encoder_") == keep
    if keep:
        assert metric_of(model) >= max(record["metric"] for record in model.history_)
