"""Kernels under AddressSanitizer and UndefinedBehaviorSanitizer: no access outside arrays and shared memory.

The sanitizers must be loaded before Python starts, hence the processes of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.grid

TESTS = Path(__file__).parents[1]
FLAGS = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fsanitize-sections=cuda_shared"

TOYS = """
import sys
from cuda_emulation import EmulatedDevice
TEXT = '''
extern "C" __global__ void within(float* out, const float* x, int n) {
    __shared__ float fixed[32];
    extern __shared__ float dynamic[];
    fixed[threadIdx.x] = dynamic[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = fixed[31 - threadIdx.x] + dynamic[31 - threadIdx.x];
}
extern "C" __global__ void global_read(float* out, const float* x, int n) {
    __syncthreads();
    out[0] = x[n + threadIdx.x];
}
extern "C" __global__ void global_write(float* out, const float* x, int n) { out[n] = x[threadIdx.x]; }
extern "C" __global__ void fixed_shared(float* out, const float* x, int n) {
    __shared__ float fixed[32];
    float* place = fixed + n;
    place[threadIdx.x] = 1.0f;
    __syncthreads();
    out[0] = fixed[0];
}
extern "C" __global__ void dynamic_shared(float* out, const float* x, int n) {
    extern __shared__ float dynamic[];
    dynamic[n + threadIdx.x] = 1.0f;
    __syncthreads();
    out[0] = dynamic[0];
}
extern "C" __global__ void misaligned(float* out, const float* x, int n) {
    out[0] = reinterpret_cast<const float4*>(x + 1)->y;
}
'''
device = EmulatedDevice(source=lambda file: TEXT)
x, out = device.xp.zeros(32, "float32"), device.xp.zeros(32, "float32")
device.launch("toys.cu", sys.argv[1], 1, 32, out, x, device.xp.int32(32), shared=128)
print("ended")
"""


def library(name: str) -> str:
    compiler = os.environ.get("CXX", "g++").split()
    try:
        path = subprocess.run(
            [*compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs g++: {error}")
    if not Path(path).is_absolute():
        pytest.skip(f"needs {name}, which comes with g++ where sanitizers are packaged")
    return path


@pytest.fixture(scope="module")
def sanitized() -> dict[str, str]:
    """The environment of a process with sanitizers."""
    return {
        **os.environ,
        "FASTAUTOREC_KERNEL_FLAGS": FLAGS,
        "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",  # exceptions pass through both
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
        "OPENBLAS_NUM_THREADS": "1",
    }


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("within", ""),
        ("global_read", "heap-buffer-overflow"),
        ("global_write", "heap-buffer-overflow"),
        ("fixed_shared", "insufficient space"),
        ("dynamic_shared", "heap-buffer-overflow"),
        ("misaligned", "misaligned address"),
    ],
)
def test_faults_are_found(sanitized, kernel, message):
    run = subprocess.run(
        [sys.executable, "-c", TOYS, kernel], env=sanitized, capture_output=True, text=True, check=False
    )
    assert message in run.stderr
    assert ("ended" in run.stdout) == (message == "")


def test_kernels_stay_within_their_arrays(sanitized):
    selected = "cuda-emulated and not task"  # inputs of more rows than a task reach nothing else and take long
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not gpu", "-k", selected]
    tests = [sys.executable, "-m", "pytest", *options, "compute/test_backends.py"]
    run = subprocess.run(tests, env=sanitized, cwd=TESTS, capture_output=True, text=True, check=False)
    assert run.returncode == 0, (run.stdout + run.stderr)[-5000:]
