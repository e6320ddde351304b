"""Arrays of texts, each of which takes the room that it needs, in memory and in files.

From NumPy 2 on they have NumPy's variable-width type, ``numpy.dtypes.StringDType()``; NumPy 1 has a fixed width only.
In files they are bytes: each text in UTF-8, ended by a zero byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

VARIABLE_WIDTH = hasattr(getattr(np, "dtypes", None), "StringDType")
MAX_FIXED_BYTES = 1 << 30  # limit for an array of fixed width that is mostly padding
BLOCK = 1 << 18  # texts that are Python objects at the same time

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


def is_text(array: Array) -> bool:
    """Return whether an array holds texts, of fixed or of variable width."""
    return array.dtype.kind in "UT"


def text_array(texts: Sequence[str]) -> Array:
    """Return texts as an array of the type that all ids of texts have.

    Raises
    ------
    ValueError
        For a fixed width where one long text would multiply the memory.
    """
    if VARIABLE_WIDTH:
        result = np.empty(len(texts), np.dtypes.StringDType())
        for start in range(0, len(texts), BLOCK):
            result[start : start + BLOCK] = texts[start : start + BLOCK]
        return result
    longest = max(texts, key=len, default="")
    size = 4 * len(longest) * len(texts)
    if size > max(MAX_FIXED_BYTES, 8 * sum(map(len, texts))):
        raise ValueError(
            f"{len(texts):,} texts of up to {len(longest):,} characters would take {size / 1e9:.1f} GB in this version "
            f"of NumPy, which gives all of them the room of the longest, {longest[:20]!r}...; update NumPy to version "
            "2, or shorten that text"
        )
    return np.array(texts, np.str_)


def as_text(array: Array) -> Array:
    """Return an array of texts in the type of `text_array`."""
    if VARIABLE_WIDTH and array.dtype.kind == "U":
        return array.astype(np.dtypes.StringDType())
    return array if (array.dtype.kind == "T") == VARIABLE_WIDTH else text_array(array.tolist())


def is_sound(array: Array) -> bool:
    """Return whether an array has the type of `text_array`, and no text that is empty or that files cannot hold.

    False for the fixed width of NumPy 1, which takes longer to tell.
    """
    if not VARIABLE_WIDTH or array.dtype != np.dtypes.StringDType():
        return False
    packed = pack(array)
    return count(packed) == len(array) and not (packed[:1] == 0).any() and not ((packed[1:] | packed[:-1]) == 0).any()


def fault(texts: Sequence[str]) -> tuple[int, str] | None:
    """Return the place of the first text that files cannot hold, and what is wrong with it."""
    if not _fault("".join(texts)):
        return None
    return next((place, reason) for place, text in enumerate(texts) if (reason := _fault(text)))


def _fault(text: str) -> str:
    if "\0" in text:
        return "a zero character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "half a character (a lone surrogate)"
    return ""


def pack(array: Array) -> Bytes:
    """Return texts as bytes: each in UTF-8, ended by a zero byte."""
    blocks = (array[start : start + BLOCK].tolist() for start in range(0, len(array), BLOCK))
    parts = [np.frombuffer(("\0".join(block) + "\0").encode(), np.uint8) for block in blocks]
    return np.concatenate(parts) if parts else np.empty(0, np.uint8)


def unpack(packed: Bytes) -> Array:
    """Return the texts that `pack` made bytes of.

    Raises
    ------
    ValueError
        If the bytes are not texts.
    """
    blocks = unpacked_blocks(packed)
    if not VARIABLE_WIDTH:
        return text_array([text for block in blocks for text in block])
    result, start = np.empty(count(packed), np.dtypes.StringDType()), 0
    for block in blocks:
        result[start : start + len(block)] = block
        start += len(block)
    return result


def count(packed: Bytes) -> int:
    """Return how many texts there are in bytes."""
    return len(packed) - int(np.count_nonzero(packed))


def unpacked_blocks(packed: Bytes) -> Iterator[list[str]]:
    """Yield lists of texts of limited size."""
    if len(packed) and packed[-1]:
        raise ValueError("the last text does not end")
    ends = np.flatnonzero(packed == 0)
    start = 0
    for last in range(BLOCK - 1, len(ends) + BLOCK - 1, BLOCK):
        stop = int(ends[min(last, len(ends) - 1)])
        yield packed[start:stop].tobytes().decode().split("\0")
        start = stop + 1


def memory(array: Array) -> int:
    """Return about how many bytes an array takes, the characters of long texts included."""
    size = int(array.nbytes)
    if array.dtype.kind == "T":
        lengths = np.strings.str_len(array)
        size += int(lengths[lengths >= array.itemsize].sum())  # shorter ones are kept within the items
    return size
