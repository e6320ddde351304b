"""The text of the CUDA kernels, and the device that runs it through CuPy."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
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
        text = _folder(name).read_text("utf-8")
        kept = "\n".join("" if line.startswith(("#include", "#pragma once")) else line for line in text.splitlines())
        parts.append(f'#line 1 "{name}"\n{kept}\n')
    return "".join(parts)


def _folder(name: str) -> Path:
    """Return where a file lies: beside the installed package, or in the source tree of an editable install."""
    package = Path(str(files("fastautorec")))
    tree = package.parents[1]
    for folder in (package / "cuda", tree / "cuda", tree / "cpp" / "include" / "fastautorec"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"the CUDA source {name} is missing from this installation; reinstall fastautorec")
