"""The text of the CUDA kernels, and the device that runs it through CuPy."""

from __future__ import annotations

from functools import cache
from pathlib import Path

SHARED = ("scalar_math.h", "philox.h", "sampling.h", "prelude.cuh")  # before every kernel file, in this order


@cache
def kernel_source(file: str) -> str:
    """Return the text of ``cuda/<file>`` behind the shared headers, as one translation unit.

    Nothing is included: CuPy's cache of compiled kernels would not notice changes of included files. ``#line`` marks
    keep the names and lines of the files in messages.
    """
    parts = []
    for name in (*SHARED, file):
        text = _path(name).read_text("utf-8")
        kept = "\n".join("" if line.startswith(("#include", "#pragma once")) else line for line in text.splitlines())
        parts.append(f'#line 1 "{name}"\n{kept}\n')
    return "".join(parts)


def _path(name: str) -> Path:
    """Return where a file lies: in an installed package, or in the source tree of an editable installation."""
    package = Path(__file__).parents[2]
    tree = package.parents[1]
    folders = [package / "cuda"]
    if package.parent.name == "src":  # what an earlier build installed beside the package may be out of date
        folders = [tree / "cuda", tree / "cpp" / "include" / "fastautorec"]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"the CUDA source {name} is missing from this installation; reinstall fastautorec")
