"""NVIDIA's run-time compiler, which needs neither a GPU nor a driver: what CuPy will do to a kernel, done in a test."""

from __future__ import annotations

import ctypes
import hashlib
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from cuda_emulation.build import cache_folder

WHEEL = "nvidia-cuda-nvrtc"
OPTIONS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")  # as CuPy's RawModule passes them
ENTRY = re.compile(
    r"Compiling entry function '(?P<name>\w+)'"
    r".*?(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
    r".*?Used (?P<registers>\d+) registers",
    re.DOTALL,
)


@dataclass(frozen=True)
class Usage:
    """What a kernel takes of a multiprocessor, per thread: registers, and bytes of memory in place of registers."""

    registers: int
    stack: int
    spilled: int


class CompilationError(Exception):
    """The compiler's messages."""


class Nvrtc:
    """The library in the wheel ``nvidia-cuda-nvrtc``; raises `PackageNotFoundError` without it."""

    def __init__(self) -> None:
        found = [Path(str(file.locate())) for file in files(WHEEL) or () if ".so" in file.name]
        libraries = [path for path in found if re.fullmatch(r"libnvrtc\.so\.\d+", path.name)]
        if not libraries:
            raise PackageNotFoundError(WHEEL)
        for path in found:
            if path.name.startswith("libnvrtc-builtins"):  # so that the library finds it
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        self._library = ctypes.CDLL(str(libraries[0]))
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def version(self) -> tuple[int, int]:
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check(self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        return major.value, minor.value

    def compile(self, source: str, architecture: int) -> str:
        """Compile to machine code and return the log, which holds the warnings and the use of registers."""
        options = [*OPTIONS, f"-arch=sm_{architecture}", "--ptxas-options=-v"]
        key = hashlib.sha256("\0".join([source, *options, str(self.version())]).encode()).hexdigest()[:32]
        kept = cache_folder() / f"{key}.log"
        if not kept.exists():
            log = self._compile(source, options)
            kept.write_text(log, "utf-8")
        return kept.read_text("utf-8")

    def _compile(self, source: str, options: list[str]) -> str:
        library, program = self._library, ctypes.c_void_p()
        self._check(library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None))
        try:
            encoded = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
            failed = library.nvrtcCompileProgram(program, len(options), encoded)
            log = self._text(program, "ProgramLog").decode()
            if failed:
                raise CompilationError(log)
            if not self._text(program, "CUBIN").startswith(b"\x7fELF"):
                raise CompilationError("NVRTC made no machine code")
            return log
        finally:
            library.nvrtcDestroyProgram(ctypes.byref(program))

    def _text(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._check(getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        self._check(getattr(self._library, f"nvrtcGet{what}")(program, buffer))
        return buffer.raw.rstrip(b"\0")

    def _check(self, status: Any) -> None:
        if status:
            raise RuntimeError(self._library.nvrtcGetErrorString(status).decode())


def usage(log: str) -> dict[str, Usage]:
    """Return what each kernel takes, from the log of a compilation."""
    return {
        m["name"]: Usage(int(m["registers"]), int(m["stack"]), int(m["stores"]) + int(m["loads"]))
        for m in ENTRY.finditer(log)
    }
