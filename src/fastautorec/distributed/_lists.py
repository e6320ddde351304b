"""Lists and their evaluation over shards: each is made where its users are."""

from __future__ import annotations

from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_bool, check_int, kind, list_length
from fastautorec._compute.inputs import check_columns, check_user_items
from fastautorec._compute.protocol import Backend
from fastautorec._extras import require
from fastautorec._files import replace_file
from fastautorec._types import Ids
from fastautorec.data._identity import aligned, picked, places
from fastautorec.data._texts import is_text
from fastautorec.distributed._choosing import Pair, check_users, pairs_of, same_users
from fastautorec.distributed._engines import engine_of
from fastautorec.distributed._joining import owned
from fastautorec.distributed._rooms import taken
from fastautorec.distributed._shards import (
    SHARD_ENTRIES,
    Fitted,
    Folders,
    Shard,
    check_new_folder,
    cut_into_shards,
    folders_of,
    mapped,
    on_shard,
    over_shards,
    place_for,
    threads_of,
)
from fastautorec.evaluation import Report
from fastautorec.evaluation._evaluate import (
    DEFAULT_K,
    Measures,
    count_overlap,
    learned_notes,
    overlap_notes,
    train_and_test,
)
from fastautorec.evaluation._ranks import Ranks
from fastautorec.evaluation._walk import Learned, check_length, check_options, walk
from fastautorec.models._labels import check_kind, label_array, named_users
from fastautorec.models._recommender import Recommender

Rows = npt.NDArray[np.int64]

NAMES = r"part-\d{5,}\.parquet"


def recommend(
    model: Recommender,
    data: Folders,
    output: str | PathLike[str],
    N: int = 10,
    *,
    users: Ids | None = None,
    filter_already_liked_items: bool = True,
    engine: object = "local",
    shard_entries: int = SHARD_ENTRIES,
    num_threads: int | None = None,
) -> list[Path]:
    """Write the best items for users as Parquet files, one for each shard, where the shard is.

    The lists are those of ``model.recommend_table``: columns user, item, rank and score, with ids where the data have
    some.

    Parameters
    ----------
    model : fitted recommender
    data : path, Interactions or list of them
        Histories, as in `fit`.
    output : path
        A folder that all workers see, which appears once all files are in it; until then it is called
        ``output.unfinished``, which the next call begins anew.
    N : int
        Length of the lists, at most the number of items.
    users : id or list of ids, optional
        Users of ``data`` whose lists are wanted, by default all. Lists are in the order of the data, and shards without
        any of these users have no file.
    filter_already_liked_items : bool
        Leave out the items that the user has.
    engine, shard_entries, num_threads
        As in `fit`.

    Returns
    -------
    list of Path
        The files, in the order of the users.

    Raises
    ------
    FileExistsError
        If ``output`` is there and is not an empty folder, if another call is making it, or if ``output.unfinished``
        holds something else.
    NotFittedError, TypeError, ValueError, FileNotFoundError
        As in `fit` and ``recommend_table``, also for users who are in no shard or named twice, and for none.
    ImportError
        Without pyarrow.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import fastautorec as far
    >>> from fastautorec import distributed
    >>> with TemporaryDirectory() as folder:
    ...     far.datasets.load_example().to_disk(folder + "/packages")
    ...     model = distributed.fit(far.NCEAutoRec(factors=16), folder + "/packages")
    ...     files = distributed.recommend(model, folder + "/packages", folder + "/lists", N=5)
    >>> [file.name for file in files]
    ['part-00000.parquet']
    """
    require("pyarrow.parquet", "recommend", "data")
    _require_fitted(model)
    n_top = list_length(N, model.n_items_)
    filtering = check_bool("filter_already_liked_items", filter_already_liked_items)
    matrices, _ = folders_of("data", data)
    shards = cut_into_shards(matrices, check_int("shard_entries", shard_entries, 1))
    folder = place_for("output", output)
    check_new_folder("output", folder)
    for matrix in matrices.values():
        check_columns("data", matrix.shape, model.n_items_)
    rows: dict[Shard, Rows] = {}
    if users is not None:
        rows = _rows_of(users, shards, engine, threads_of(engine, num_threads, model))
        shards = list(rows)
    target = folder.resolve()  # a symbolic link stays, and what it leads to is made
    unfinished = target.with_name(f"{target.name}.unfinished")  # nobody takes some of the lists for all
    names = [f"part-{number:05d}.parquet" for number in range(len(shards))]
    files = {shard: unfinished / name for shard, name in zip(shards, names, strict=True)}
    with taken(unfinished, NAMES, "`output` is made in a folder of its own", "output"):
        for left in unfinished.iterdir():
            left.unlink()
        over_shards(_write_lists, engine, num_threads, shards, model, files, rows, n_top, filtering)
        check_new_folder("output", folder)  # another call may have made it meanwhile
        unfinished.replace(target)
    return [folder / name for name in names]


def _rows_of(users: Any, shards: list[Shard], engine: Any, threads: int | None) -> dict[Shard, Rows]:
    """Return the rows of users in each shard that has some of them.

    Raises
    ------
    TypeError, ValueError
        For what is no id, an id of another type than those of the data, one that is given twice or is in no shard.
    """
    labels = named_users(users)
    if not labels:
        raise ValueError("`users` must name a user at least, got none; leave it out for all users")
    found = owned(mapped(engine_of(engine), partial(on_shard, _places, threads), shards, (list(labels),)))
    missed = np.ones(len(labels), bool)
    for wanted, _ in found:
        missed[wanted] = False
    if missed.any():
        n_users = sum(shard.stop - shard.start for shard in shards)
        raise ValueError(
            f"`users` must be users of `data`, but {missed.sum():,} of {len(labels):,} are not among its {n_users:,}, "
            f"such as {labels[int(np.argmax(missed))]!r}; model.recommend_table({{id: [items]}}) has lists for new ones"
        )
    return {shard: np.sort(rows) for shard, (_, rows) in zip(shards, found, strict=True) if len(rows)}


def _places(shard: Shard, _: Backend, labels: list[Any]) -> tuple[Rows, Rows]:
    """Return which of the users are in a shard, and their rows: few numbers come back where there are many shards."""
    users, ids = label_array(labels), shard.interactions().user_ids
    check_kind("users", is_text(users), users, "`data`", ids)
    rows = places(users, ids)
    there = np.flatnonzero(rows >= 0)
    return there, rows[there]


def _write_lists(
    shard: Shard,
    backend: Backend,
    fitted: Fitted,
    files: dict[Shard, Path],
    rows: dict[Shard, Rows],
    n_top: int,
    filtering: bool,
) -> None:
    """Write the lists of a shard, where rows are given of these; a second time gives the same file."""
    data = picked(shard.interactions(), rows.get(shard), None)
    table = fitted.here(backend).recommend_table(data, n_top, filter_already_liked_items=filtering).to_arrow()
    write = require("pyarrow.parquet", "recommend", "data").write_table
    replace_file(files[shard], lambda file: write(table, file))


def evaluate(
    model: Recommender,
    train: Folders,
    test: Folders,
    k: int | tuple[int, ...] = DEFAULT_K,
    definition: str = "standard",
    *,
    engine: object = "local",
    shard_entries: int = SHARD_ENTRIES,
    num_threads: int | None = None,
) -> Report:
    """Evaluate a model as ``fastautorec.evaluate`` does, shard by shard: the same report, for every user.

    Parameters
    ----------
    model : fitted recommender
    train, test : path, Interactions or list of them
        Folders with the same users in the same rows: test folder i holds what the users of training folder i chose
        later.
    k, definition
        As in ``fastautorec.evaluate``.
    engine, shard_entries, num_threads
        As in `fit`; shards are cut from ``train``.

    Returns
    -------
    Report
        The report of ``fastautorec.evaluate``.

    Raises
    ------
    NotFittedError, TypeError, ValueError, FileNotFoundError
        As in `fit` and ``fastautorec.evaluate``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import fastautorec as far
    >>> from fastautorec import distributed
    >>> train, test = far.split(far.datasets.load_example(), (0.8, 0.2), by="random")
    >>> with TemporaryDirectory() as folder:
    ...     train.to_disk(folder + "/train")
    ...     test.to_disk(folder + "/test")
    ...     model = distributed.fit(far.NCEAutoRec(factors=16), folder + "/train")
    ...     report = distributed.evaluate(model, folder + "/train", folder + "/test")
    >>> report["NDCG"].mean == far.evaluate(model, train, test)["NDCG"].mean
    True
    """
    _require_fitted(model)
    matrices, _ = folders_of("train", train)
    shards = cut_into_shards(matrices, check_int("shard_entries", shard_entries, 1))
    tests, _ = same_users("test", test, "train", matrices, shards)
    n_items = next(iter(matrices.values())).n_cols
    check_length(check_options(k, definition, n_items), n_items)
    parts = over_shards(_measured, engine, num_threads, pairs_of(shards, tests), model, k, definition)
    return _joined(shards, [Part(*part) for part in parts])


class Part(NamedTuple):
    """What a report needs of some users: figures of each and never averages, so that the whole has the same bits."""

    users: int
    without_train: int
    item_popularity: npt.NDArray[np.int64]
    all_users: int
    both: npt.NDArray[np.int64]
    overlap: npt.NDArray[np.int64] | int = 0
    learned: Learned | None = None
    report: Report | None = None  # None where nobody has items in both


def _measured(pair: Pair, backend: Backend, fitted: Fitted, k: Any, definition: str) -> tuple[Any, ...]:
    """Return the `Part` of a shard."""
    train, test = pair.train.interactions(), pair.held.interactions()
    check_users("test", test, "train", train)
    test = aligned("test", test, "train", train)
    given, later = check_user_items("train", train), check_user_items("test", test)
    has_train = given.row_lengths() > 0
    both, users = train_and_test(backend, given, later)
    part = Part(len(has_train), int((~has_train).sum()), backend.count_items(given), users, both)
    if not (has_train & (later.row_lengths() > 0)).any():
        return part
    task = walk(fitted.here(backend), train, test, k, definition, Measures)
    overlap = count_overlap(task.train, task.test)
    return part._replace(overlap=overlap, learned=task.learned, report=task.report([]))


def _joined(shards: list[Shard], parts: list[Part]) -> Report:
    """Return the report on the users of all shards."""
    kept = [(shard.first_user, part.report) for shard, part in zip(shards, parts, strict=True) if part.report]
    if not kept:
        raise ValueError("`train` and `test` must have a user with items in both, got none in any shard")
    reports = [report for _, report in kept]
    learned = next(part.learned for part in parts if part.report)
    overlap = np.sum([np.broadcast_to(part.overlap, part.both.shape) for part in parts], axis=0)
    union = np.sum([part.both for part in parts], axis=0) - overlap
    users = sum(part.all_users for part in parts)
    first, ranks = reports[0], [report.ranks for report in reports]

    def whole(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.concatenate(arrays)

    return Report(
        {name: whole([report[name].per_user for report in reports]) for name in first},
        Ranks(
            np.concatenate(([0], np.cumsum(whole([one.n_test_items for one in ranks])))),
            whole([one.items for one in ranks]),
            whole([one.ranks for one in ranks]),
            whole([one.lengths for one in ranks]),
        ),
        whole([report.heads for report in reports]),
        definition=first.definition,
        k=first.k,
        users=whole([report.users + start for start, report in kept]),
        item_popularity=np.sum([part.item_popularity for part in parts], axis=0),
        history_lengths=whole([report.history_lengths for report in reports]),
        n_rows=sum(part.users for part in parts),
        n_without_train=sum(part.without_train for part in parts),
        notes=[*overlap_notes(int(overlap.sum())), *learned_notes(learned, union, users)],
    )


def _require_fitted(model: Any) -> None:
    if not isinstance(model, Recommender):
        raise TypeError(f"`model` must be a fitted recommender of fastautorec, got {kind(model)}")
    model._require_fitted()
