// One block of CUDA threads, each in a fiber. A thread runs on until it ends or waits at a barrier or in a warp
// operation; which one is next is drawn from a seed. Threads that never wait share one fiber and cost a call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "fibers.hpp"

namespace {

struct dim3 {
    unsigned x, y, z;
};
dim3 threadIdx, blockIdx, blockDim{1, 1, 1}, gridDim{1, 1, 1};  // y and z stay: grids are one-dimensional here

}  // namespace

namespace cuda_on_cpu {
namespace {

constexpr unsigned kWarp = 32;

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class State : unsigned char { kReady, kAtBarrier, kInWarp, kDone };
enum class Operation : unsigned char { kBarrier, kSyncWarp, kShuffle, kBallot };

struct Thread {
    Fiber* fiber;  // null until it begins
    State state;
    Operation operation;
    int line;  // where it waits
    unsigned mask;
    int source;  // lane to read from
    std::uint64_t given, received;
};

struct Votes {
    int count, any, all;
};

struct Block {
    std::vector<Thread> threads;
    std::vector<unsigned> order, rank, in_warp;        // order[rank[t]] == t
    std::vector<std::pair<unsigned, unsigned>> ready;  // heap of (key, thread), the lowest key first
    unsigned begun = 0, done = 0, at_barrier = 0, current = 0;
    bool by_rank = true;
    Votes votes{};
    std::exception_ptr error;
    std::uint64_t random = 0;
    void (*run)(void*) = nullptr;  // the kernel
    void* arguments = nullptr;
};

Block block;

unsigned draw(unsigned below) {  // xorshift64*
    std::uint64_t& x = block.random;
    x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
    return static_cast<unsigned>((x * 0x2545F4914F6CDD1Dull >> 32) * below >> 32);
}

void draw_order(std::vector<unsigned>& order, unsigned n, bool shuffled) {
    order.resize(n);
    for (unsigned i = 0; i < n; ++i) {
        const unsigned place = shuffled ? draw(i + 1) : i;
        order[i] = order[place];
        order[place] = i;
    }
}

void make_ready(unsigned thread) {
    const unsigned key = block.by_rank ? block.rank[thread] : draw(static_cast<unsigned>(block.threads.size()));
    block.threads[thread].state = State::kReady;
    block.ready.emplace_back(key, thread);
    std::push_heap(block.ready.begin(), block.ready.end(), std::greater<>());
}

[[noreturn]] void deadlock() {
    std::vector<int> lines;
    for (const Thread& thread : block.threads)
        if (thread.state != State::kDone) lines.push_back(thread.line);
    std::sort(lines.begin(), lines.end());
    lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
    std::string where;
    for (const int line : lines) where += (where.empty() ? "" : ", ") + std::to_string(line);
    throw Error("deadlock: threads wait for others that never arrive; they wait at line " + where);
}

unsigned pick() {
    Block& b = block;
    if (b.begun < b.order.size() && (b.ready.empty() || b.begun <= b.ready.front().first)) return b.order[b.begun++];
    if (b.ready.empty()) deadlock();
    const unsigned thread = b.ready.front().second;
    std::pop_heap(b.ready.begin(), b.ready.end(), std::greater<>());
    b.ready.pop_back();
    return thread;
}

// Hands over to the next thread; returns when `self` has a thread to run, on the main stack when the block is done.
void dispatch(Fiber* self, bool is_idle) {
    Block& b = block;
    Fiber* to = &fibers.main;
    if (!b.error && b.done < b.threads.size()) {
        try {
            b.current = pick();
            to = b.threads[b.current].fiber;
            if (!to) to = is_idle ? self : idle_fiber();
            b.threads[b.current].fiber = to;
        } catch (...) {
            b.error = std::current_exception();
            to = &fibers.main;
        }
    }
    if (to != self) {
        if (is_idle) fibers.idle.push_back(self);
        jump(self, to);
    }
    threadIdx.x = b.current;
}

void check_same_place(const Thread& a, const Thread& b) {
    if (a.line != b.line || a.operation != b.operation)
        throw Error("threads wait for each other at different places, line " +
                    std::to_string(std::min(a.line, b.line)) + " and line " + std::to_string(std::max(a.line, b.line)));
}

void release_barrier_if_full() {
    Block& b = block;
    if (b.at_barrier == 0 || b.at_barrier + b.done < b.threads.size()) return;  // threads that have ended count
    const Thread* first = nullptr;
    b.votes = {0, 0, 1};
    b.at_barrier = 0;
    for (unsigned t = 0; t < b.threads.size(); ++t) {
        const Thread& thread = b.threads[t];
        if (thread.state != State::kAtBarrier) continue;
        if (!first) first = &thread;
        check_same_place(*first, thread);
        b.votes.count += thread.given != 0;
        b.votes.any |= thread.given != 0;
        b.votes.all &= thread.given != 0;
        make_ready(t);
    }
}

void release_warp_if_full(unsigned base, unsigned mask) {
    unsigned& waiting = block.in_warp[base / kWarp];
    const auto lanes = static_cast<unsigned>(__builtin_popcount(mask));
    if (waiting < lanes) return;
    const Thread* warp = &block.threads[base];
    unsigned ballot = 0;
    for (unsigned l = 0; l < kWarp; ++l) {
        if (!(mask >> l & 1)) continue;
        if (warp[l].state != State::kInWarp || warp[l].mask != mask) return;
        check_same_place(warp[l], block.threads[block.current]);
        ballot |= static_cast<unsigned>(warp[l].given != 0) << l;
    }
    waiting -= lanes;
    for (unsigned l = 0; l < kWarp; ++l) {
        if (!(mask >> l & 1)) continue;
        Thread& thread = block.threads[base + l];
        if (thread.operation == Operation::kShuffle) {
            if (!(mask >> thread.source & 1)) throw Error("a shuffle reads a lane that is not in its mask");
            thread.received = warp[thread.source].given;
        } else {
            thread.received = ballot;
        }
        make_ready(base + l);
    }
}

Votes wait_at_barrier(int line, bool vote) {
    Thread& thread = block.threads[block.current];
    thread.state = State::kAtBarrier;
    thread.operation = Operation::kBarrier;
    thread.line = line;
    thread.given = vote;
    ++block.at_barrier;
    release_barrier_if_full();
    dispatch(thread.fiber, false);
    return block.votes;  // of the same barrier: the next one needs this thread
}

std::uint64_t wait_in_warp(Operation operation, int line, unsigned mask, std::uint64_t given, int source) {
    const unsigned base = block.current / kWarp * kWarp;
    const auto n = static_cast<unsigned>(block.threads.size());
    Thread& thread = block.threads[block.current];
    if (!(mask >> (block.current - base) & 1)) throw Error("a thread passes a mask without its own lane");
    if (base + kWarp > n && mask >> (n - base) != 0) throw Error("a mask names a lane outside the block");
    thread.state = State::kInWarp;
    thread.operation = operation;
    thread.line = line;
    thread.mask = mask;
    thread.given = given;
    thread.source = source;
    ++block.in_warp[base / kWarp];
    release_warp_if_full(base, mask);
    dispatch(thread.fiber, false);
    return thread.received;
}

// What a fiber does: run a thread to its end, then the next.
void run_threads() {
    Fiber* self = block.threads[block.current].fiber;
    threadIdx.x = block.current;
    for (;;) {
        try {
            block.run(block.arguments);
            ++block.done;
            block.threads[block.current].state = State::kDone;
            release_barrier_if_full();
        } catch (...) {
            block.error = std::current_exception();
        }
        dispatch(self, true);
    }
}

void run_block(unsigned n_threads, bool shuffled) {
    Block& b = block;
    b.threads.assign(n_threads, Thread{});
    b.in_warp.assign((n_threads + kWarp - 1) / kWarp, 0);
    b.rank.resize(n_threads);
    b.ready.clear();
    b.begun = b.done = b.at_barrier = 0;
    draw_order(b.order, n_threads, shuffled);
    for (unsigned i = 0; i < n_threads; ++i) b.rank[b.order[i]] = i;
    b.by_rank = !shuffled || draw(2) == 0;  // some threads always ahead of others, or all at about the same pace
    fibers.work = run_threads;
    dispatch(&fibers.main, false);
    if (b.error) {
        abandon_fibers();
        std::rethrow_exception(std::exchange(b.error, nullptr));
    }
}

}  // namespace
}  // namespace cuda_on_cpu
