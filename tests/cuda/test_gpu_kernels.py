"""The program that compute-sanitizer runs launches every kernel, and says what is missing where it cannot."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import gpu_kernels
import pytest
from cuda_emulation.build import KERNEL
from devices import emulated_backend

ROOT = Path(__file__).parents[2]
KERNELS = {name for path in (ROOT / "cuda").glob("*.cu") for _, name in KERNEL.findall(path.read_text("utf-8"))}


@pytest.mark.grid
def test_every_kernel_is_launched():
    backend = emulated_backend()
    gpu_kernels.launch_all(backend)
    assert set(backend.device.launches) == KERNELS


def test_the_filter_takes_our_kernels_only():
    pattern = gpu_kernels.OURS.removeprefix("regex=")
    others = ("cupy_add__float32_float32_float32", "_ZN3cub17DeviceScanKernelIiE", "ampere_sgemm_128x64_nn")
    assert all(re.search(pattern, name) for name in KERNELS)
    assert not any(re.search(pattern, name) for name in others)


def test_without_a_gpu_it_says_so():
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # hides one that there may be
    for options in ([], ["--sanitize", "memcheck"]):
        done = subprocess.run(
            [sys.executable, str(Path(gpu_kernels.__file__)), *options],
            capture_output=True, text=True, timeout=60, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == gpu_kernels.NO_GPU
        assert done.stderr.startswith("gpu_kernels.py needs a GPU: ")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("layout", ["cuda 12", "cuda 13"])
def test_the_sanitizer_of_a_wheel(tmp_path, monkeypatch, layout):
    """The wheel for CUDA 12 has a program that may not be run and does not find its libraries."""
    program = tmp_path / "bin" / "compute-sanitizer"
    program.parent.mkdir()
    program.touch(mode=0o644)
    if layout == "cuda 12":
        (tmp_path / "lib").mkdir()
        (tmp_path / "lib" / "libsanitizer-collection.so").touch()

    class File:
        parts = ("nvidia", "bin", "compute-sanitizer")

        def locate(self):
            return program

    monkeypatch.setattr(gpu_kernels.metadata, "files", lambda wheel: [File()])
    expected = [str(program)] + (["--injection-path", str(tmp_path / "lib")] if layout == "cuda 12" else [])
    assert gpu_kernels.find_sanitizer() == expected
    assert os.access(program, os.X_OK)


def test_the_sanitizer_of_the_path(tmp_path, monkeypatch):
    def no_wheel(name):
        raise gpu_kernels.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(gpu_kernels.metadata, "files", no_wheel)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_kernels.find_sanitizer() is None
    (tmp_path / "compute-sanitizer").touch(mode=0o755)
    assert gpu_kernels.find_sanitizer() == [str(tmp_path / "compute-sanitizer")]
