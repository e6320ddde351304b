"""Kernel files built as C++ libraries, kept by the hash of all that goes in."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HEADERS = Path(__file__).parent
FLAGS = os.environ.get("FASTAUTOREC_KERNEL_FLAGS", "-O1").split()
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\(\s*(\d+)[^)]*\)\s*)?(\w+)\s*\(')
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s+)?([\w:<> ]+?)\s+(\w+)\s*\[\s*\]\s*;")


class Kernel:
    """A kernel in a library.

    Attributes
    ----------
    max_threads : int
        What ``__launch_bounds__`` says, or the hardware's 1024.
    parameters : list of str
        Types in NumPy's letters, with ``*`` in front for a pointer.
    """

    def __init__(self, library: ctypes.CDLL, name: str, max_threads: int) -> None:
        self.name, self.max_threads = name, max_threads
        signature = library[f"signature_of_{name}"]
        signature.restype = ctypes.c_char_p
        self.parameters = signature().decode().split()
        self._launch = library[f"launch_{name}"]
        self._launch.argtypes = [ctypes.c_uint, ctypes.c_uint, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_uint64]
        self._launch.argtypes += [ctypes.c_char_p, ctypes.c_size_t]

    def __call__(self, blocks: int, threads: int, shared: int, cells: list[np.ndarray[Any, Any]], seed: int) -> None:
        """Run the kernel. ``cells`` hold the arguments, with the types of ``parameters`` and addresses for pointers."""
        addresses = (ctypes.c_void_p * len(cells))(*[cell.ctypes.data for cell in cells])
        message = ctypes.create_string_buffer(500)
        if self._launch(blocks, threads, shared, addresses, seed, message, len(message)):
            raise RuntimeError(f"{self.name}: {message.value.decode()}")


@cache
def load(source: str) -> dict[str, Kernel]:
    """Build the kernels of a text, which may come from an earlier run, and return them by name."""
    found = {name: int(bound or 1024) for bound, name in KERNEL.findall(source)}
    library = ctypes.CDLL(str(_built(_as_cpp(source, list(found)))))
    return {name: Kernel(library, name, bound) for name, bound in found.items()}


def _as_cpp(source: str, kernels: list[str]) -> str:
    pointer = r"\1* \2 = reinterpret_cast<\1*>(cuda_on_cpu::dynamic_shared.get());"
    exports = "".join(f"CUDA_ON_CPU_EXPORT({name})\n" for name in kernels)
    body = DYNAMIC_SHARED.sub(pointer, source)
    return f'#include "cuda_on_cpu.hpp"\nnamespace {{\n#line 1 "kernels"\n{body}}}\n#line 1 "exports"\n{exports}'


def _built(text: str) -> Path:
    compiler = os.environ.get("CXX") or shutil.which("g++") or "c++"
    flags = ["-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-U_FORTIFY_SOURCE", "-ffp-contract=off"]
    flags += ["-w", f"-I{HEADERS}", *FLAGS]  # warnings are for NVRTC, whose language it is
    parts = [text, compiler, *flags, *(path.read_text("utf-8") for path in sorted(HEADERS.glob("*.hpp")))]
    library = cache_folder() / (hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32] + ".so")
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
            new = Path(scratch) / "new.so"
            command = [*compiler.split(), *flags, "-x", "c++", "-", "-o", str(new)]
            run = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
            if run.returncode:
                raise RuntimeError(f"{compiler} cannot compile the kernels:\n{run.stderr}")
            new.replace(library)  # whole or not at all, also where two processes build it
    return library


@cache
def cache_folder() -> Path:
    """Return the folder of what was compiled, outside the source tree and of this user."""
    folder = Path(tempfile.gettempdir()) / f"fastautorec-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else; set TMPDIR to a folder of your own")
    return folder
