"""Every kernel compiles for every architecture as CuPy would compile it, fits into registers, and is launched."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from cuda_emulation.build import KERNEL
from cuda_emulation.nvrtc import CompilationError, Nvrtc, usage
from lanes import keeping

import fastautorec
from fastautorec._compute.cuda.kernels import SHARED, kernel_source

PACKAGE = Path(fastautorec.__file__).parent
SOURCES = PACKAGE.parents[1] / "cuda"
FILES = sorted(path.name for path in SOURCES.glob("*.cu"))
LAUNCHERS = "\n".join(path.read_text("utf-8") for path in sorted(PACKAGE.glob("_compute/cuda/*.py")))
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
MOST_REGISTERS = 128  # two blocks of 256 threads at a time on every multiprocessor


@pytest.fixture(scope="module")
def nvrtc() -> Nvrtc:
    try:
        return Nvrtc()
    except PackageNotFoundError as error:
        pytest.skip(f"the wheel {error} is not installed; it is in the group dev, for Linux on x86-64 and aarch64")


def faults(log: str) -> list[str]:
    """Return what is wrong with a compilation."""
    wrong = [line for line in log.splitlines() if "warning" in line]
    for name, used in usage(log).items():
        if used.spilled or used.stack:
            wrong.append(f"{name} keeps {used.stack} bytes in memory, {used.spilled} of them spilled registers")
        if used.registers > MOST_REGISTERS:
            wrong.append(f"{name} takes {used.registers} registers")
    return wrong


@pytest.mark.parametrize("architecture", keeping([75, 120], ARCHITECTURES))
@pytest.mark.parametrize("file", FILES)
def test_compiles_without_spills(nvrtc, file, architecture):
    log = nvrtc.compile(kernel_source(file), architecture)
    assert set(usage(log)) == {name for _, name in KERNEL.findall(kernel_source(file))}
    assert not faults(log)


def test_warnings_are_faults(nvrtc):
    log = nvrtc.compile('extern "C" __global__ void k(int* x) { int unused; x[0] = 1; }', 80)
    assert "never referenced" in faults(log)[0]


def test_spills_are_faults(nvrtc):
    sums = "".join(f"float s{i} = x[{i} * n + threadIdx.x];" for i in range(80))
    uses = "".join(f"x[{i} * n + threadIdx.x] = s{i} * s{(i * 7 + 1) % 80};" for i in range(80))
    bound = "__launch_bounds__(1024, 2)"  # 32 registers a thread
    log = nvrtc.compile(f'extern "C" __global__ void {bound} k(float* x, int n) {{ {sums} {uses} }}', 80)
    assert "spilled registers" in faults(log)[0]


def test_many_registers_are_a_fault(nvrtc):
    loads = "".join(f"float s{i} = x[threadIdx.x + {32 * i}];" for i in range(140))
    stores = "".join(f"y[threadIdx.x + {32 * i}] = s{i} * s{(i * 7 + 1) % 140};" for i in range(140))
    log = nvrtc.compile(f'extern "C" __global__ void k(float* x, float* y) {{ {loads} {stores} }}', 80)
    assert re.search(r"k takes \d+ registers", faults(log)[0])


def test_errors_name_file_and_line(nvrtc):
    text = kernel_source("prelude.cuh") + '#line 7 "toy.cu"\nextern "C" __global__ void k(int* x) { x[0] = y; }\n'
    with pytest.raises(CompilationError, match=r'toy\.cu\(7\): error: identifier "y" is undefined'):
        nvrtc.compile(text, 80)


def test_float_atomics_and_includes_are_absent():
    for path in sorted(SOURCES.glob("*.cu*")):
        text = path.read_text("utf-8")
        assert not re.search(r"#\s*include|asm\s*\(|cooperative_groups", text), path.name


@pytest.mark.parametrize("file", FILES)
def test_every_kernel_is_launched(file):
    names = [name for _, name in KERNEL.findall((SOURCES / file).read_text("utf-8"))]
    assert names
    assert not [name for name in names if not re.search(rf"\b{name}\b", LAUNCHERS)]
    assert all(name.endswith("_kernel") for name in names)
    assert f'"{file}"' in LAUNCHERS


def test_shared_headers_come_first():
    text = kernel_source("prelude.cuh")
    marks = re.findall(r'^#line 1 "(.+)"$', text, re.MULTILINE)
    assert tuple(marks) == (*SHARED, "prelude.cuh")
    assert "#include" not in text
    assert "#pragma once" not in text


def test_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"none\.cu is missing"):
        kernel_source("none.cu")
