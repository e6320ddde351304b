"""The emulation of a CUDA device finds the faults it is there for: barriers, masks, shared memory, types, limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cuda_emulation import EmulatedDevice

SEEDS = range(12)  # 0 is the order of the numbers

TOYS = {
    "barriers.cu": """
extern "C" __global__ void __launch_bounds__(256) reversed_kernel(int* out, const int* x) {
    __shared__ int s[256];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void no_barrier_kernel(int* out, const int* x) {
    __shared__ int s[256];
    s[threadIdx.x] = x[threadIdx.x];
    out[threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void reused_too_soon_kernel(int* out, const int* x) {
    extern __shared__ int s[];
    for (int round = 0; round < 3; ++round) {
        s[threadIdx.x] = x[threadIdx.x] + round;
        __syncthreads();
        out[threadIdx.x] += s[blockDim.x - 1 - threadIdx.x];
    }
}
extern "C" __global__ void some_threads_kernel(int* out) {
    if (threadIdx.x < 7) __syncthreads();
    else __syncwarp();
    out[threadIdx.x] = 1;
}
extern "C" __global__ void two_places_kernel(int* out) {
    if (threadIdx.x < 32) __syncthreads();
    else
        __syncthreads();
    out[threadIdx.x] = 1;
}
extern "C" __global__ void early_end_kernel(int* out) {
    if (threadIdx.x >= 40) return;
    const int n = __syncthreads_count(threadIdx.x % 2);
    out[threadIdx.x] = n;
}
extern "C" __global__ void votes_kernel(int* out) {
    const int t = threadIdx.x;
    out[0] = __syncthreads_count(t < 5);
    out[1] = __syncthreads_or(t == 70);
    out[2] = __syncthreads_or(t > 900);
    out[3] = __syncthreads_and(t < 900);
    out[4] = __syncthreads_and(t != 3);
}
""",
    "warps.cu": """
extern "C" __global__ void shuffles_kernel(int* out, const int* x) {
    const int t = threadIdx.x;
    const unsigned all = 0xffffffffu;
    out[t] = __shfl_sync(all, x[t], 5);
    out[blockDim.x + t] = __shfl_up_sync(all, x[t], 3);
    out[2 * blockDim.x + t] = __shfl_down_sync(all, x[t], 3, 32);
    out[3 * blockDim.x + t] = __shfl_xor_sync(all, x[t], 16);
    out[4 * blockDim.x + t] = static_cast<int>(__ballot_sync(all, x[t] % 3 == 0));
    out[5 * blockDim.x + t] = __any_sync(all, x[t] == 40) + 2 * __all_sync(all, x[t] < 40);
}
extern "C" __global__ void sums_kernel(double* out, const double* x) {
    double v = x[threadIdx.x];
    for (int d = 16; d > 0; d >>= 1) v += __shfl_down_sync(0xffffffffu, v, d);
    if (threadIdx.x % 32 == 0) out[threadIdx.x / 32] = v;
}
extern "C" __global__ void half_kernel(int* out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, static_cast<int>(threadIdx.x), 15);
}
extern "C" __global__ void outside_mask_kernel(int* out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, static_cast<int>(threadIdx.x), 16);
}
extern "C" __global__ void without_itself_kernel() { __syncwarp(0xfffeu); }
extern "C" __global__ void full_mask_kernel() { __syncwarp(0xffffffffu); }
extern "C" __global__ void narrow_kernel(int* out) { out[0] = __shfl_xor_sync(0xffffffffu, 1, 1, 8); }
extern "C" __global__ void different_calls_kernel(int* out) {
    if (threadIdx.x < 16) out[0] = __shfl_sync(0xffffffffu, 1, 0);
    else
        out[1] = __shfl_sync(0xffffffffu, 2, 0);
}
""",
    "memory.cu": """
struct Pair {
    float a;
    int b;
};
extern "C" __global__ void unset_kernel(unsigned* out) {
    __shared__ unsigned fixed[4];
    extern __shared__ unsigned dynamic[];
    if (threadIdx.x < 4) {
        out[blockIdx.x * 8 + threadIdx.x] = fixed[threadIdx.x];
        out[blockIdx.x * 8 + 4 + threadIdx.x] = dynamic[threadIdx.x];
    }
    __syncthreads();
    fixed[threadIdx.x % 4] = dynamic[threadIdx.x % 4] = 1;
}
extern "C" __global__ void atomics_kernel(int* out, unsigned long long* wide) {
    const int t = static_cast<int>(threadIdx.x) - 10;
    atomicAdd(&out[0], t);
    atomicMax(&out[1], t);
    atomicMin(&out[2], t);
    atomicOr(&out[3], 1 << threadIdx.x % 7);
    atomicAnd(&out[4], ~(1 << threadIdx.x % 3));
    if (atomicCAS(&out[5], 0, t + 100) == 0) out[6] = t + 100;
    if (atomicExch(&out[7], 1) == 0) out[8] += 1;
    atomicAdd(wide, 1ull << 40);
}
extern "C" __global__ void arguments_kernel(double* out, long long i, float f, int b, double d, unsigned long long u,
                                            const int* none, Pair pair) {
    out[0] = static_cast<double>(i), out[1] = f, out[2] = b, out[3] = d, out[4] = static_cast<double>(u >> 60);
    out[5] = none == nullptr, out[6] = pair.a, out[7] = pair.b;
}
extern "C" __global__ void tickets_kernel(int* out, int* next) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = (*next)++;
}
""",
    "functions.cu": """
extern "C" __global__ void functions_kernel(long long* out, float* real) {
    out[0] = __popc(0xf0f0u), out[1] = __clz(1), out[2] = __clz(0), out[3] = __ffs(8), out[4] = __ffs(0);
    out[5] = __brev(1u), out[6] = __umulhi(1u << 31, 6u), out[7] = __umul64hi(1ull << 63, 10ull);
    out[8] = __float_as_uint(1.0f), out[9] = max(3, 5ll), out[10] = min(3u, 5u), out[11] = __clzll(1ll);
    real[0] = max(NAN, 2.0f), real[1] = min(2.0f, NAN), real[2] = rsqrtf(4.0f), real[3] = __uint_as_float(0x40000000u);
    real[4] = fmaf(2.0f, 3.0f, 1.0f), real[5] = isfinite(INFINITY), real[6] = make_float4(1, 2, 3, 4).z;
}
""",
    "float_atomic.cu": 'extern "C" __global__ void sum_kernel(float* out) { atomicAdd(out, 1.0f); }\n',
    "wrong.cu": '#line 41 "wrong.cu"\nextern "C" __global__ void wrong_kernel(int* out) { out[0] = nothing; }\n',
}


@pytest.fixture(params=SEEDS, ids="seed{}".format)
def shuffled(request):
    return EmulatedDevice(seed=request.param, source=TOYS.__getitem__)


@pytest.fixture
def device():
    return EmulatedDevice(source=TOYS.__getitem__)


def launch_on_numbers(device, file, kernel, threads=256, outputs=None, **kwargs):
    x = device.xp.arange(threads, dtype=np.int32)
    out = device.xp.zeros(outputs or threads, np.int32)
    device.launch(file, kernel, 1, threads, out, x, **kwargs)
    return device.to_host(out)


@pytest.mark.parametrize("threads", [1, 31, 32, 100, 256])
def test_barrier(shuffled, threads):
    out = launch_on_numbers(shuffled, "barriers.cu", "reversed_kernel", threads)
    np.testing.assert_array_equal(out, np.arange(threads)[::-1])


def test_missing_barrier_shows_in_every_order(shuffled):
    out = launch_on_numbers(shuffled, "barriers.cu", "no_barrier_kernel")
    assert not np.array_equal(out, np.arange(256)[::-1])


def test_shared_memory_reused_too_soon_shows_in_every_order(shuffled):
    out = launch_on_numbers(shuffled, "barriers.cu", "reused_too_soon_kernel", shared=1024)
    assert not np.array_equal(out, 3 * np.arange(256)[::-1] + 3)


def test_divergent_barrier_is_a_deadlock(shuffled):
    out = shuffled.xp.zeros(64, np.int32)
    with pytest.raises(RuntimeError, match=r"some_threads_kernel: deadlock: .* wait at line 22, 23$"):
        shuffled.launch("barriers.cu", "some_threads_kernel", 1, 64, out)
    with pytest.raises(RuntimeError, match="different places, line 27 and line 29"):
        shuffled.launch("barriers.cu", "two_places_kernel", 1, 64, out)
    assert launch_on_numbers(shuffled, "barriers.cu", "reversed_kernel")[0] == 255  # works on after errors


def test_threads_that_ended_are_not_waited_for(shuffled):
    out = shuffled.xp.zeros(64, np.int32)
    shuffled.launch("barriers.cu", "early_end_kernel", 1, 64, out)
    np.testing.assert_array_equal(out.get(), [20] * 40 + [0] * 24)


def test_votes(shuffled):
    out = shuffled.xp.zeros(5, np.int32)
    shuffled.launch("barriers.cu", "votes_kernel", 1, 128, out)
    np.testing.assert_array_equal(out.get(), [5, 1, 0, 1, 0])


def test_shuffles_and_ballots(shuffled):
    out = launch_on_numbers(shuffled, "warps.cu", "shuffles_kernel", 64, outputs=6 * 64).reshape(6, 2, 32)
    lane = np.arange(32)
    x = np.arange(64).reshape(2, 32)
    np.testing.assert_array_equal(out[0], np.repeat(x[:, 5:6], 32, axis=1))
    np.testing.assert_array_equal(out[1], x[:, np.where(lane < 3, lane, lane - 3)])
    np.testing.assert_array_equal(out[2], x[:, np.where(lane > 28, lane, lane + 3)])
    np.testing.assert_array_equal(out[3], x[:, lane ^ 16])
    ballots = [sum(1 << int(i) for i in lane if row[i] % 3 == 0) for row in x]
    np.testing.assert_array_equal(out[4].view(np.uint32), np.repeat(ballots, 32).reshape(2, 32))
    np.testing.assert_array_equal(out[5], np.repeat([2, 1], 32).reshape(2, 32))


def test_sums_by_shuffles(shuffled, rng):
    x = rng.random(128)
    out = shuffled.xp.empty(4, np.float64)
    shuffled.launch("warps.cu", "sums_kernel", 1, 128, out, shuffled.to_device(x))
    np.testing.assert_allclose(out.get(), x.reshape(4, 32).sum(axis=1), rtol=1e-14)


def test_masks(device):
    out = device.xp.zeros(16, np.int32)
    device.launch("warps.cu", "half_kernel", 1, 32, out)
    np.testing.assert_array_equal(out.get(), 15)
    with pytest.raises(RuntimeError, match="reads a lane that is not in its mask"):
        device.launch("warps.cu", "outside_mask_kernel", 1, 32, out)
    with pytest.raises(RuntimeError, match="a mask without its own lane"):
        device.launch("warps.cu", "without_itself_kernel", 1, 32)
    with pytest.raises(RuntimeError, match="a lane outside the block"):
        device.launch("warps.cu", "full_mask_kernel", 1, 48)
    with pytest.raises(RuntimeError, match="shuffles have width 32"):
        device.launch("warps.cu", "narrow_kernel", 1, 32, out)
    with pytest.raises(RuntimeError, match="different places, line 27 and line 29"):
        device.launch("warps.cu", "different_calls_kernel", 1, 32, out)


def test_shared_memory_is_undefined_in_every_block(shuffled):
    out = shuffled.xp.zeros(24, np.uint32)
    shuffled.launch("memory.cu", "unset_kernel", 3, 32, out, shared=16)
    np.testing.assert_array_equal(out.get(), 0xCBCBCBCB)


def test_atomics(shuffled):
    out = shuffled.to_device(np.array([0, -99, 99, 0, 15, 0, 0, 0, 0], np.int32))
    wide = shuffled.xp.zeros(1, np.uint64)
    shuffled.launch("memory.cu", "atomics_kernel", 1, 64, out, wide)
    got = out.get()
    np.testing.assert_array_equal(got[:5], [sum(range(-10, 54)), 53, -10, 127, 8])
    assert got[5] == got[6] != 0
    np.testing.assert_array_equal(got[7:], 1)
    assert wide.get()[0] == 64 << 40


def test_float_atomics_do_not_compile(device):
    with pytest.raises(RuntimeError, match="atomics are for integers"):
        device.launch("float_atomic.cu", "sum_kernel", 1, 1, device.xp.zeros(1, np.float32))


def test_compile_errors_name_file_and_line(device):
    with pytest.raises(RuntimeError, match=r"wrong\.cu:41:"):
        device.launch("wrong.cu", "wrong_kernel", 1, 1, device.xp.zeros(1, np.int32))


PAIR = np.array((2.5, -3), np.dtype([("a", np.float32), ("b", np.int32)]))[()]
ARGUMENTS = (2**40, 0.1, True, np.float64(0.1), np.uint64(2**63), None, PAIR)


def test_arguments_are_converted_as_declared(device):
    out = device.xp.empty(8, np.float64)
    device.launch("memory.cu", "arguments_kernel", 1, 1, out, *ARGUMENTS)
    np.testing.assert_array_equal(out.get(), [2.0**40, np.float32(0.1), 1, 0.1, 8, 1, 2.5, -3])


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 1.0, r"parameter 1 of arguments_kernel is <i8, got <f4"),
        (0, np.int32(1), r"is <i8, got <i4"),
        (1, 1, r"is <f4, got <i8"),
        (1, np.float64(1), r"is <f4, got <f8"),
        (3, 0.5, r"is <f8, got <f4"),
        (2, None, r"is <i4, got \*"),
        (6, np.void(b"12"), r"is \|V8, got \|V2"),
        (5, np.zeros(3, np.int32), r"Unsupported type <class 'numpy.ndarray'>"),
        (5, "text", r"Unsupported type <class 'str'>"),
    ],
)
def test_wrong_types_are_refused(device, place, value, message):
    arguments = [*ARGUMENTS[:place], value, *ARGUMENTS[place + 1 :]]
    with pytest.raises(TypeError, match=message):
        device.launch("memory.cu", "arguments_kernel", 1, 1, device.xp.empty(8, np.float64), *arguments)


def test_wrong_arrays_are_refused(device):
    x = device.xp.zeros((4, 4), np.int32)
    with pytest.raises(TypeError, match=r"parameter 0 .* is \*<i4, got \*<f4"):
        device.launch("barriers.cu", "reversed_kernel", 1, 4, device.xp.zeros(4, np.float32), x)
    with pytest.raises(ValueError, match="the last axis of an argument of reversed_kernel is not contiguous"):
        device.launch("barriers.cu", "reversed_kernel", 1, 4, x[:, 1], x)
    device.launch("barriers.cu", "reversed_kernel", 1, 4, x[:, :1], x[::2])  # rows may be apart


def test_limits(device):
    x = device.xp.zeros(2000, np.int32)
    for threads in (0, 257):  # __launch_bounds__(256)
        with pytest.raises(ValueError, match=f"1 blocks of {threads} threads"):
            device.launch("barriers.cu", "reversed_kernel", 1, threads, x, x)
    with pytest.raises(ValueError, match="1 blocks of 1025 threads"):
        device.launch("barriers.cu", "early_end_kernel", 1, 1025, x)
    with pytest.raises(ValueError, match="asks for 49153 bytes of shared memory; there are 49152"):
        device.launch("barriers.cu", "reused_too_soon_kernel", 1, 32, x, x, shared=49153)
    with pytest.raises(ValueError, match="-1 blocks"):
        device.launch("barriers.cu", "early_end_kernel", -1, 32, x)
    with pytest.raises(KeyError, match=r"barriers\.cu has no kernel other; it has reversed_kernel"):
        device.launch("barriers.cu", "other", 1, 1, x)
    with pytest.raises(TypeError, match="early_end_kernel has 1 parameters, got 2 arguments"):
        device.launch("barriers.cu", "early_end_kernel", 1, 1, x, x)
    assert device.launches == []
    device.launch("barriers.cu", "early_end_kernel", 0, 32, x)
    assert device.launches == []
    device.launch("barriers.cu", "early_end_kernel", 1, 32, x)
    assert device.launches == ["early_end_kernel"]


def tickets(seed, launches=1):
    device = EmulatedDevice(seed, TOYS.__getitem__)
    out = device.xp.zeros((launches, 4 * 64), np.int32)
    for row in range(launches):
        device.launch("memory.cu", "tickets_kernel", 4, 64, out[row], device.xp.zeros(1, np.int32))
    return out.get()


def test_order_is_drawn_from_the_seed():
    np.testing.assert_array_equal(tickets(0)[0], np.arange(256))
    first, second = tickets(5, launches=2)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(tickets(5)[0], first)
    blocks = {tuple(tickets(seed)[0].reshape(4, 64).min(axis=1) // 64) for seed in range(1, 40)}
    assert len(blocks) > 10
    assert {tuple(sorted(order)) for order in blocks} == {(0, 1, 2, 3)}
    for row in (first, second):
        np.testing.assert_array_equal(np.sort(row), np.arange(256))
        assert not np.array_equal(np.sort(row[:64]), row[:64])


def test_functions(device):
    out, real = device.xp.zeros(12, np.int64), device.xp.zeros(7, np.float32)
    device.launch("functions.cu", "functions_kernel", 1, 1, out, real)
    np.testing.assert_array_equal(out.get(), [8, 31, 32, 4, 0, 1 << 31, 3, 5, 0x3F800000, 5, 3, 63])
    np.testing.assert_array_equal(real.get(), [2, 2, 0.5, 2, 7, 0, 3])


def test_python_threads_take_turns(device):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: launch_on_numbers(device, "barriers.cu", "reversed_kernel"), range(50)))
    for out in results:
        np.testing.assert_array_equal(out, np.arange(256)[::-1])
