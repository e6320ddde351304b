"""Adjacency lists: a line for each user, ``user item item ...``, as LightGCN and others keep them."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from fastautorec.data import _delimited as delimited
from fastautorec.data import _evidence as evidence
from fastautorec.data import _files as files
from fastautorec.data import _plain as plain
from fastautorec.exceptions import RatingsFileError

_VALUED = re.compile(r"[0-9]+:[-+.0-9eE]+")  # as in files for libsvm
_JOINED = re.compile(r"[^,;|]*[0-9][^,;|]*([,;|][^,;|]*[0-9][^,;|]*)+")


def read_lists(path: Path) -> dict[str, Any]:
    """Return user and item of every pair, and as "lonely" the users whose line names no item."""
    sample = (plain.words_of(line) for line in files.sample_lines(path)[: evidence.LOOK])
    _refuse_other_forms(path, [row for row in sample if row])
    parts: dict[str, list[Any]] = {"user": [], "item": [], "lonely": []}
    counts = True  # every line so far begins with the number of its items
    second = True  # or has it behind its user
    widths: set[int] = set()
    n_lines = 0
    for offset, block in files.blocks(path, files.BLOCK):
        try:
            rows = [plain.words_of(line) for line in plain.text_lines(block)]
        except plain.LineFault as fault:
            raise plain.located(path, offset, block, fault) from None
        rows = [row for row in rows if row]
        n_lines += len(rows)
        counts = counts and all(row[0] == str(len(row) - 1) for row in rows)
        second = second and all(len(row) > 1 and row[1] == str(len(row) - 2) for row in rows)
        widths.update(map(len, rows))
        lengths = np.array([len(row) - 1 for row in rows], np.int64)
        owners = _column([row[0] for row in rows])
        texts = isinstance(owners, list)
        named = np.array(owners, object) if texts else owners
        pairs, lonely = np.repeat(named, lengths), named[lengths == 0]
        parts["user"].append(pairs.tolist() if texts else pairs)
        parts["lonely"].append(lonely.tolist() if texts else lonely)
        parts["item"].append(_column(list(chain.from_iterable(row[1:] for row in rows))))
    if counts and n_lines > 1:
        raise RatingsFileError(
            f"{path}: every line begins with the number of its items where a user is expected; number the users and "
            "write `user item item ...`"
        )
    if second and len(widths) > 1:
        raise RatingsFileError(f"{path}: {evidence.counted_text(1)}")
    joined = {role: delimited.join(some, False) for role, some in parts.items()}
    if not len(joined["item"]):
        raise RatingsFileError(f"{path}: no item in the file; it must hold lines `user item item ...`")
    return joined


def _refuse_other_forms(path: Path, rows: list[list[str]]) -> None:
    """Raise for first lines whose users or items are written with what does not belong to them."""
    if not rows:
        return
    items = [word for row in rows for word in row[1:]]
    joined = [word for row in rows if len(row) == 2 for word in row[1:] if _JOINED.fullmatch(word)]
    fix = ""
    if all(row[0].endswith(":") for row in rows):
        fix = f"a colon behind each user, such as {rows[0][0]!r}; remove it"
    elif items and all(map(_VALUED.fullmatch, items)):
        fix = f"items with values, such as {items[0]!r}; write the items alone, without those of the value 0"
    elif items and len(items) <= len(rows) and 2 * len(joined) >= len(items):
        fix = f"several items in one field, such as {joined[0]!r}; write blanks between them"
    if fix:
        raise RatingsFileError(f"{path}: the lines must hold `user item item ...`, but they have {fix}")


def _column(texts: list[str]) -> Any:
    numbers = plain.integers(texts)
    return texts if numbers is None else numbers
