"""Convergence: how long training took to get near its best validation metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from fastautorec._checks import check_real
from fastautorec._printed import Printed, Rows
from fastautorec._types import DataFrame
from fastautorec.evaluation._many_reports import to_frame
from fastautorec.evaluation._tables import percent

SHARES = (0.99, 0.995, 0.999)

EMBEDDING, PREDICTION = "embedding", "prediction"  # phases, by the names that `history_` gives them
History = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ConvergenceRow:
    """One training of a ``Convergence``.

    Attributes
    ----------
    series, label : str
        What was trained, and how: a model and a mode.
    best : float
        The best validation metric.
    epochs : int
        Number of epochs of all phases.
    total_seconds : float
        Seconds of training.
    seconds : tuple of float
        Until each share of the best metric was reached.
    """

    series: str
    label: str
    best: float
    epochs: int
    total_seconds: float
    seconds: tuple[float, ...]


@dataclass(frozen=True, repr=False)
class Convergence(Printed):
    """Result of ``convergence``.

    Attributes
    ----------
    shares : tuple of float
    rows : tuple of ConvergenceRow
    """

    shares: tuple[float, ...]
    rows: tuple[ConvergenceRow, ...]

    def __repr__(self) -> str:
        return f"<Convergence of {len(self.rows)} trainings>"

    def _parts(self) -> list[str | Rows]:
        table = [["", "", "best", *(f"s to {percent(share)}" for share in self.shares), "s in all", "epochs"]]
        for row in self.rows:
            times = [f"{seconds:.3f}" for seconds in (*row.seconds, row.total_seconds)]
            table.append([row.series, row.label, f"{row.best:.4f}", *times, str(row.epochs)])
        if not any(row.series for row in self.rows):
            table = [line[1:] for line in table]
        return [table]

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each training."""
        columns = ("series", "label", "best", "epochs", "total_seconds")
        plain: dict[str, Any] = {name: [getattr(row, name) for row in self.rows] for name in columns}
        times = {f"seconds_to_{share:g}": [row.seconds[i] for row in self.rows] for i, share in enumerate(self.shares)}
        return to_frame(plain | times)


def convergence_time(history: History, share: float = 0.995) -> float:
    """Return the seconds of training until a share of the best validation metric was reached.

    The seconds of the records are added up: all epochs and the exact solutions. Validation is not counted, except in
    the record of an exact prediction head, whose time includes the judging of that head. Where a trained prediction
    phase follows, the seconds of the embedding phase count, but its metrics do not, because they judge another head.

    Parameters
    ----------
    history : list of dict
        ``model.history_`` of a fit with validation data.
    share : float
        Above 0 and at most 1.

    Returns
    -------
    float
        Seconds of training.

    Raises
    ------
    TypeError, ValueError
        If this is no such history, or ``share`` is out of range.

    Examples
    --------
    >>> from fastautorec.evaluation import convergence_time
    >>> history = [{"phase": "joint", "epoch": 0, "seconds": 9.0, "metric": 0.01}]
    >>> history += [{"phase": "joint", "epoch": e, "seconds": 0.5, "metric": m} for e, m in ((1, 0.1), (2, 0.2))]
    >>> convergence_time(history), convergence_time(history, share=0.5)
    (1.0, 0.5)
    """
    return _reach(_points(history), _check_share(share))


def convergence(
    histories: Mapping[str, History] | Mapping[str, Mapping[str, History]], shares: Iterable[float] = SHARES
) -> Convergence:
    """Return how long several trainings took to get near their best metric (Figure 4 of the paper).

    Parameters
    ----------
    histories : dict of str to history, or dict of str to such dicts
        ``model.history_`` by mode, or by model and mode. See ``convergence_time`` for what counts.
    shares : sequence of float
        Shares of the best metric, each above 0 and at most 1.

    Returns
    -------
    Convergence
        One row for each training; it prints as a table.

    Raises
    ------
    TypeError, ValueError
        If there is no history or one without metrics, or a share is out of range.

    Examples
    --------
    >>> import fastautorec as far
    >>> from fastautorec.evaluation import convergence
    >>> train, valid, _ = far.split(far.datasets.load_example(), by="random")
    >>> models = {mode: far.NCEAutoRec.paper(factors=8, epochs=2, mode=mode) for mode in ("joint", "alternating")}
    >>> found = convergence({mode: model.fit(train, validation=valid).history_ for mode, model in models.items()})
    >>> [(row.label, row.epochs) for row in found.rows]
    [('joint', 2), ('alternating', 2)]
    """
    if not isinstance(histories, Mapping):
        raise TypeError(f"`histories` must be a dict of histories, got {type(histories).__qualname__}")
    if not histories:
        raise ValueError("`histories` must hold at least one history, got none")
    wanted = tuple(_check_share(share) for share in shares)
    if not wanted:
        raise ValueError("`shares` must hold at least one share, got none; for example (0.99, 0.995)")
    rows = []
    for name, value in histories.items():
        group = value.items() if isinstance(value, Mapping) else [(name, value)]
        for label, history in group:
            points = _points(history)
            rows.append(
                ConvergenceRow(
                    series=name if isinstance(value, Mapping) else "",
                    label=label,
                    best=max(metric for _, metric in points),
                    epochs=sum(record["epoch"] > 0 for record in history),
                    total_seconds=sum(_seconds(record) for record in history),
                    seconds=tuple(_reach(points, share) for share in wanted),
                )
            )
    return Convergence(wanted, tuple(rows))


def _points(history: History) -> list[tuple[float, float]]:
    """Return seconds of training and metric wherever the head that recommends was judged."""
    if isinstance(history, (str, Mapping)) or not isinstance(history, Sequence):
        raise TypeError(f"`history` must be a list of records (model.history_), got {type(history).__qualname__}")
    if not all(isinstance(record, Mapping) and {"phase", "epoch", "seconds"} <= set(record) for record in history):
        raise ValueError("`history` must hold records with phase, epoch and seconds, such as model.history_")
    clock = accumulate(_seconds(record) for record in history)
    other_head = _judges_other_head(history)
    points = [
        (seconds, float(record["metric"]))
        for seconds, record in zip(clock, history, strict=True)
        if "metric" in record and not (other_head and record["phase"] == EMBEDDING)
    ]
    if not points:
        raise ValueError("`history` has no validation metric; fit with validation=...")
    return points


def _seconds(record: Mapping[str, Any]) -> float:
    """Return the seconds that a record adds: none where it only judges the state that a phase starts from."""
    only_judged = record["epoch"] == 0 and "metric" in record and "regularization" not in record
    return 0.0 if only_judged else float(record["seconds"])


def _judges_other_head(history: History) -> bool:
    """Return whether a prediction head is trained from its start after the embedding phase."""
    embedding = [place for place, record in enumerate(history) if record["phase"] == EMBEDDING and "metric" in record]
    if not embedding:
        return False
    after = [record for record in history[embedding[-1] + 1 :] if record["phase"] == PREDICTION]
    return bool(after) and "regularization" not in after[0]


def _reach(points: Sequence[tuple[float, float]], share: float) -> float:
    goal = share * max(metric for _, metric in points)
    return next(seconds for seconds, metric in points if metric >= goal)


def _check_share(share: object) -> float:
    return check_real("share", share, 0, 1, above=True)
