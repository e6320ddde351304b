"""Time to the best validation NDCG: every model and mode, and the same in PyTorch, on MovieLens-1M.

    python benchmarks/convergence.py             all of it; rewrites benchmarks/README.md and convergence.png
    python benchmarks/convergence.py --quick     two epochs each on small data, nothing written

Seconds are those of training: validation is left out of the clock, imports and warm-up too. Without PyTorch its
curves are missing; without MovieLens-1M in ../shared/data the embedded Debian data takes its place.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import SHARED, debian, movielens
from report import replace, table
from scipy import sparse

import fastautorec as far
from fastautorec._backends import get_backend
from fastautorec._fitting import FitRun, Progress
from fastautorec._losses import NegativeSampling
from fastautorec._parallel import resolve_num_threads
from fastautorec._training import EMBEDDING, MODES
from fastautorec._validation import check_user_items
from fastautorec.models import _session
from fastautorec.models._heads import validation_metric

README = Path(__file__).with_name("README.md")
PLOT = Path(__file__).with_name("convergence.png")
MARKERS = "<!-- begin: written by convergence.py -->", "<!-- end: written by convergence.py -->"
FLOOR = 0.5  # of the plot, as a share of the best value of all
SHARES = (1.0, 0.995, 0.99)  # of the best validation NDCG
PAPER, TUNED, TORCH = "as the paper trains", "exact start, then trained", "PyTorch, as the paper trains"
QUICK = (800, 600, 30_000)  # shape and interactions of a trial run

Model = Any
Point = tuple[float, float]  # seconds of training, validation NDCG


@dataclass
class Curve:
    """How one system came to its accuracy."""

    model: str
    mode: str
    kind: str
    points: list[Point] = field(default_factory=list)
    epochs: int = 0
    epoch_seconds: float = 0.0

    @property
    def best(self) -> float:
        return max(value for _, value in self.points)

    def seconds_to(self, share: float) -> float:
        """Return when this share of the best value was reached."""
        return next(seconds for seconds, value in self.points if value >= share * self.best)


class Clock:
    """Seconds since the start without those spent in `pause`."""

    def __init__(self) -> None:
        self._start, self._paused = time.perf_counter(), 0.0

    def __call__(self) -> float:
        return time.perf_counter() - self._start - self._paused

    @contextmanager
    def pause(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._paused += time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=100, help="of each phase, at most (default: 100)")
    parser.add_argument("--patience", type=int, default=5, help="epochs without a better value (default: 5)")
    parser.add_argument("--limit", type=float, default=40, help="seconds of training of a system, about (default: 40)")
    parser.add_argument("--only", default="", help="only systems whose name holds this; nothing written")
    parser.add_argument("--quick", action="store_true", help="two epochs on small data, nothing written")
    parser.add_argument("--json", type=Path, help="where to store the curves")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="write table and plot of stored curves")
    options = parser.parse_args()
    if options.redraw:
        curves = [Curve(**curve) for curve in json.loads(options.redraw.read_text())]
    else:
        curves = measure(options)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(curve) for curve in curves]))
    text = summary(curves)
    print(text)
    if not (options.quick or options.only):
        name = "MovieLens-1M" if SHARED.exists() else "the Debian data"
        replace(
            README, f"On {name}.\n\n{text}\n![Validation NDCG against seconds of training](convergence.png)", MARKERS
        )
        plot(curves, PLOT)


def measure(options: argparse.Namespace) -> list[Curve]:
    train, valid, factors = *data(options.quick), 16 if options.quick else 200
    epochs = 2 if options.quick else options.epochs
    common = {"epochs": epochs, "patience": options.patience}
    run_of: dict[str, Callable[..., Curve]] = {PAPER: ours, TUNED: ours, TORCH: by_torch}
    ours(Curve("", "", ""), far.NCEAutoRec(8), train, valid, limit=1)  # lazy imports, thread pools
    if importlib.util.find_spec("torch"):
        by_torch(Curve("", "", ""), far.NCEAutoRec.paper(factors=8, epochs=1, mode="joint"), train, valid, limit=1)
    curves = []
    for curve, model in systems(factors, common):
        if options.only.lower() not in f"{curve.model} {curve.mode} {curve.kind}".lower():
            continue
        run_of[curve.kind](curve, model, train, valid, options.limit)
        print(
            f"{curve.model} {curve.mode}, {curve.kind}: {curve.best:.4f} after {curve.seconds_to(1):.2f} s", flush=True
        )
        curves.append(curve)
    return curves


def data(quick: bool) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    if not quick:
        return (movielens() if SHARED.exists() else debian())[:2]
    return far.split(far.datasets.synthetic(*QUICK, random_state=0), ratios=(0.7, 0.3), by="random")


def systems(factors: int, common: dict[str, Any]) -> Iterator[tuple[Curve, Model]]:
    """Yield what is compared: an empty curve, and the model that says how to train."""
    two_headed = {"NCE-AutoRec": far.NCEAutoRec, "NS-AutoRec": far.NSAutoRec}
    one_headed = {"AutoRec": far.AutoRec, "OHNS-AutoRec": far.OHNSAutoRec}
    yield Curve("NCE-AutoRec", "closed form", TUNED), far.NCEAutoRec()
    for name, cls in two_headed.items():
        for mode in MODES:
            yield Curve(name, mode, PAPER), cls.paper(mode=mode, **{**common, "factors": factors})
        for mode in MODES:
            yield Curve(name, mode, TUNED), cls(mode=mode, init="svd", **common)
    for name, cls in one_headed.items():
        yield Curve(name, "", PAPER), cls.paper(**{**common, "factors": factors})
        yield Curve(name, "", TUNED), cls(init="svd", **common)
    if importlib.util.find_spec("torch"):
        for name, mode in (("NCE-AutoRec", "joint"), ("NCE-AutoRec", "limited"), ("NS-AutoRec", "joint")):
            yield Curve(name, mode, TORCH), two_headed[name].paper(mode=mode, **{**common, "factors": factors})


def end_of_phase(limit: float, phase: str, phases: int) -> float:
    """Return when a phase has to end: the first of two has half of the time."""
    return limit / 2 if phase == EMBEDDING and phases > 1 else limit


def ours(curve: Curve, model: Model, train: sparse.csr_matrix, valid: sparse.csr_matrix, limit: float) -> Curve:
    """Fit a model, and note its validation metric wherever the head that recommends is judged."""
    clock, seconds, phases = Clock(), [], len(model._phases())

    def timed(*args: Any) -> float:
        with clock.pause():
            return validation_metric(*args)

    def note(record: dict[str, Any]) -> bool:
        if record["epoch"]:
            seconds.append(record["seconds"])
        judges_other_head = record["phase"] == EMBEDDING and model.output_head != EMBEDDING
        if "metric" in record and not (judges_other_head and not model._solves_prediction()):
            curve.points.append((clock(), record["metric"]))
        return clock() > end_of_phase(limit, record["phase"], phases)

    _session.validation_metric = timed
    try:
        model.fit(train, validation=valid, callbacks=[note])
    finally:
        _session.validation_metric = validation_metric
    curve.epochs, curve.epoch_seconds = len(seconds), float(np.median(seconds)) if seconds else 0.0
    return curve


def by_torch(curve: Curve, model: Model, train: sparse.csr_matrix, valid: sparse.csr_matrix, limit: float) -> Curve:
    """Train the dense network in PyTorch by the same settings, with the same stopping."""
    import dense_torch  # noqa: PLC0415
    import torch  # noqa: PLC0415

    torch.set_num_threads(resolve_num_threads(None))
    run = FitRun(
        get_backend(), check_user_items("train", train), check_user_items("valid", valid), (), Progress("", show=False)
    )
    session = _session.Session(model, run, model._seeds())
    clock, seconds = Clock(), []
    network = dense_torch.AutoRec(session.random_network(), model.activation, model.intercept)
    losses = {}
    for head, loss in session.losses.items():
        if isinstance(loss, NegativeSampling):
            counts = dense_torch.multinomial_counts(run.backend.count_items(run.train), model.negatives)
            losses[head] = dense_torch.negative_sampling(counts, loss.out)
        else:
            losses[head] = dense_torch.squared_error(loss.item_weights, loss.user_weight)

    def metric(head: str) -> float:
        weights, bias = (part[head].detach().numpy() for part in (network.weights, network.biases))
        fitted = {
            "encoder_": network.encoder.detach().numpy(),
            "encoder_bias_": network.encoder_bias.detach().numpy(),
            "decoder_": np.hstack([weights, bias[:, None]]),
        }
        with clock.pause():
            return validation_metric(model, fitted, run)

    rng, users = np.random.default_rng(0), np.flatnonzero(np.diff(train.indptr))
    for phase in model._phases():
        judged = EMBEDDING if phase.name == EMBEDDING else model.output_head
        trainer = dense_torch.Trainer(network, losses, train, model.batch_size, phase.steps, phase.encoder)
        best, stale, state = metric(judged), 0, copied(network)
        if judged == model.output_head:
            curve.points.append((clock(), best))
        for _ in range(model.epochs):
            began = clock()
            trainer.epoch(rng.permutation(users))
            seconds.append(clock() - began)
            value = metric(judged)
            if judged == model.output_head:
                curve.points.append((clock(), value))
            stale += 1
            if value > best:
                best, stale, state = value, 0, copied(network)
            if stale >= model.patience or clock() > end_of_phase(limit, phase.name, len(model._phases())):
                break
        network.load_state_dict(state)
    curve.epochs, curve.epoch_seconds = len(seconds), float(np.median(seconds))
    return curve


def copied(network: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in network.state_dict().items()}


# --- what is shown ----------------------------------------------------------------------------------------------------


def summary(curves: list[Curve]) -> str:
    """Return the table of times."""
    head = ["", "mode", "", "best validation NDCG", *(f"s to {share:.1%}" for share in SHARES), "epochs", "s / epoch"]
    body = [
        [
            curve.model, curve.mode or "–", curve.kind, f"{curve.best:.4f}",
            *(f"{curve.seconds_to(share):.2f}" for share in SHARES),
            curve.epochs, f"{curve.epoch_seconds:.3f}" if curve.epochs else "–",
        ]
        for curve in sorted(curves, key=lambda curve: (curve.model, curve.kind))
    ]  # fmt: skip
    return table(head, body)


def plot(curves: list[Curve], file: Path) -> None:
    """Draw validation NDCG against seconds: a panel for a family, a curve for a system, a dot at its best value."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    panels = {"NCE-AutoRec": "NCE-AutoRec", "NS-AutoRec": "NS-AutoRec"}
    names = [*panels, "one head"]
    figure, axes = plt.subplots(1, 3, figsize=(15, 6.8), sharex=True, sharey=True, layout="constrained")
    modes = [*MODES, "closed form"]
    styles = {PAPER: "-", TUNED: ":", TORCH: "--"}
    for axis, name in zip(axes, names, strict=True):
        colours = itertools.count()
        for curve in curves:
            if panels.get(curve.model, "one head") != name:
                continue
            colour = modes.index(curve.mode) if curve.mode in modes else next(colours) // 2
            best = np.maximum.accumulate([value for _, value in curve.points])
            seconds = [max(s, 1e-3) for s, _ in curve.points]
            kind = "" if curve.mode == "closed form" else f", {curve.kind}"
            axis.plot(
                seconds, best, styles[curve.kind], color=f"C{colour}", lw=1.8 if curve.kind == TORCH else 1.4,
                marker="*" if len(seconds) == 1 else "o", ms=12 if len(seconds) == 1 else 5,
                markevery=[int(np.argmax(best))],
                label=f"{curve.mode or curve.model}{kind}",
            )  # fmt: skip
        axis.set(xscale="log", title=name, xlabel="seconds of training")
        axis.set_ylim(FLOOR * max(curve.best for curve in curves), None)
        axis.grid(alpha=0.3)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), fontsize=9, frameon=False, ncols=1)
    axes[0].set_ylabel("best validation NDCG so far")
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
