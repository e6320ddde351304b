// Runs the threads of a CUDA block on one CPU thread, each as a fiber with a stack of its own. A thread runs on until
// it finishes or waits at a barrier or a warp operation; who is next is drawn from a seed. Blocks run one by one.
#pragma once

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace {

struct dim3 {
    unsigned x, y, z;
};
dim3 threadIdx, blockIdx, blockDim{1, 1, 1}, gridDim{1, 1, 1};  // y and z stay: grids are one-dimensional here

}  // namespace

namespace cuda_on_cpu {
namespace {

constexpr unsigned kWarp = 32;
constexpr std::size_t kStack = 256 << 10, kPage = 64 << 10;  // of address space; the page holds on every CPU

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Fiber {
    char* stack = nullptr;
    std::size_t size = 0;
    jmp_buf context;
    bool begun = false;
    void* sanitizer = nullptr;
};

enum class State : unsigned char { kReady, kAtBarrier, kAtWarp, kDone };
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

struct Machine {
    std::vector<Thread> threads;
    std::vector<unsigned> order, rank, at_warp;        // order[rank[t]] = t
    std::vector<std::pair<unsigned, unsigned>> ready;  // heap of (key, thread), the lowest key first
    unsigned begun = 0, done = 0, at_barrier = 0, current = 0;
    bool by_rank = true;
    std::uint64_t random = 0;
    Votes votes{};
    std::exception_ptr error;
    std::deque<Fiber> fibers;
    std::vector<Fiber*> idle;
    Fiber main;
    Fiber* left = nullptr;  // whose stack was left last
    void (*run)(void*) = nullptr;
    void* arguments = nullptr;
};

Machine machine;

unsigned draw(unsigned below) {  // xorshift64*
    std::uint64_t& x = machine.random;
    x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
    return static_cast<unsigned>((x * 0x2545F4914F6CDD1Dull >> 32) * below >> 32);
}

void landed([[maybe_unused]] void* sanitizer) {
#ifdef __SANITIZE_ADDRESS__
    const void* bottom;
    __sanitizer_finish_switch_fiber(sanitizer, &bottom, &machine.left->size);
    machine.left->stack = static_cast<char*>(const_cast<void*>(bottom));
#endif
}

void work();

void jump(Fiber* from, Fiber* to) {
    machine.left = from;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&from->sanitizer, to->stack, to->size);
#endif
    if (_setjmp(from->context) == 0) {  // unlike swapcontext, without system calls
        if (to->begun) _longjmp(to->context, 1);
        to->begun = true;
        ucontext_t start;
        getcontext(&start);
        start.uc_stack.ss_sp = to->stack;
        start.uc_stack.ss_size = to->size;
        start.uc_link = nullptr;
        makecontext(&start, work, 0);
        setcontext(&start);
    }
    landed(from->sanitizer);
}

Fiber* idle_fiber() {
    if (machine.idle.empty()) {
        void* memory = mmap(nullptr, kPage + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        mprotect(memory, kPage, PROT_NONE);  // a stack that grows too large faults instead of writing over another
        machine.fibers.emplace_back();
        machine.fibers.back().stack = static_cast<char*>(memory) + kPage;
        machine.fibers.back().size = kStack;
        machine.idle.push_back(&machine.fibers.back());
    }
    Fiber* fiber = machine.idle.back();
    machine.idle.pop_back();
    return fiber;
}

void make_ready(unsigned thread) {
    const unsigned key = machine.by_rank ? machine.rank[thread] : draw(static_cast<unsigned>(machine.order.size()));
    machine.threads[thread].state = State::kReady;
    machine.ready.emplace_back(key, thread);
    std::push_heap(machine.ready.begin(), machine.ready.end(), std::greater<>());
}

[[noreturn]] void deadlock() {
    std::string where;
    for (const Thread& thread : machine.threads) {
        if (thread.state == State::kDone) continue;
        const std::string line = std::to_string(thread.line);
        if (where.find(line) == std::string::npos) where += (where.empty() ? "" : ", ") + line;
    }
    throw Error("deadlock: threads of a block wait for threads that never arrive; they wait at line " + where);
}

unsigned pick() {
    Machine& m = machine;
    if (m.begun < m.order.size() && (m.ready.empty() || m.begun <= m.ready.front().first)) return m.order[m.begun++];
    if (m.ready.empty()) deadlock();
    const unsigned thread = m.ready.front().second;
    std::pop_heap(m.ready.begin(), m.ready.end(), std::greater<>());
    m.ready.pop_back();
    return thread;
}

// Hands over to the next thread; returns when `self` has a thread to run, on the main stack when the block is done.
void dispatch(Fiber* self, bool is_idle) {
    Machine& m = machine;
    Fiber* to = &m.main;
    if (!m.error && m.done < m.threads.size()) {
        try {
            m.current = pick();
            to = m.threads[m.current].fiber;
            if (!to && is_idle) to = self;
            if (!to) to = idle_fiber();
            m.threads[m.current].fiber = to;
        } catch (...) {
            m.error = std::current_exception();
            to = &m.main;
        }
    }
    if (to != self) {
        if (is_idle) m.idle.push_back(self);
        jump(self, to);
    }
    threadIdx.x = m.current;
}

void check_same_place(const Thread& a, const Thread& b) {
    if (a.line != b.line || a.operation != b.operation)
        throw Error("threads wait together at different places: line " + std::to_string(a.line) + " and line " +
                    std::to_string(b.line));
}

void release_barrier_if_full() {
    Machine& m = machine;
    if (m.at_barrier == 0 || m.at_barrier + m.done < m.threads.size()) return;
    const Thread* first = nullptr;
    m.votes = {0, 0, 1};
    m.at_barrier = 0;
    for (unsigned t = 0; t < m.threads.size(); ++t) {
        const Thread& thread = m.threads[t];
        if (thread.state != State::kAtBarrier) continue;
        if (!first) first = &thread;
        check_same_place(*first, thread);
        m.votes.count += thread.given != 0;
        m.votes.any |= thread.given != 0;
        m.votes.all &= thread.given != 0;
        make_ready(t);
    }
}

void release_warp_if_full(unsigned base, unsigned mask) {
    Machine& m = machine;
    if (m.at_warp[base / kWarp] < static_cast<unsigned>(__builtin_popcount(mask))) return;
    const Thread* warp = &m.threads[base];
    unsigned ballot = 0;
    for (unsigned l = 0; l < kWarp; ++l) {
        if (!(mask >> l & 1)) continue;
        if (warp[l].state != State::kAtWarp || warp[l].mask != mask) return;
        check_same_place(warp[l], m.threads[m.current]);
        ballot |= static_cast<unsigned>(warp[l].given != 0) << l;
    }
    m.at_warp[base / kWarp] -= static_cast<unsigned>(__builtin_popcount(mask));
    for (unsigned l = 0; l < kWarp; ++l) {
        if (!(mask >> l & 1)) continue;
        Thread& thread = m.threads[base + l];
        if (thread.operation == Operation::kShuffle) {
            if (!(mask >> thread.source & 1)) throw Error("a shuffle reads a lane that is not in its mask");
            thread.received = warp[thread.source].given;
        } else {
            thread.received = ballot;
        }
        make_ready(base + l);
    }
}

Votes wait_at_barrier(int line, std::uint64_t vote) {
    Thread& thread = machine.threads[machine.current];
    thread.state = State::kAtBarrier;
    thread.operation = Operation::kBarrier;
    thread.line = line;
    thread.given = vote;
    ++machine.at_barrier;
    release_barrier_if_full();
    dispatch(thread.fiber, false);
    return machine.votes;
}

std::uint64_t wait_in_warp(Operation operation, int line, unsigned mask, std::uint64_t given, int source) {
    const unsigned base = machine.current / kWarp * kWarp;
    Thread& thread = machine.threads[machine.current];
    if (!(mask >> (machine.current - base) & 1)) throw Error("a lane calls with a mask that does not name it");
    if (base + kWarp > machine.threads.size() && mask >> (machine.threads.size() - base) != 0)
        throw Error("the mask names a lane outside the block");
    thread.state = State::kAtWarp;
    thread.operation = operation;
    thread.line = line;
    thread.mask = mask;
    thread.given = given;
    thread.source = source;
    ++machine.at_warp[base / kWarp];
    release_warp_if_full(base, mask);
    dispatch(thread.fiber, false);
    return thread.received;
}

// What every fiber does for ever: run a thread to its end, on to the next.
void work() {
    Fiber* self = machine.threads[machine.current].fiber;
    landed(nullptr);
    threadIdx.x = machine.current;
    for (;;) {
        try {
            machine.run(machine.arguments);
            ++machine.done;
            machine.threads[machine.current].state = State::kDone;
            release_barrier_if_full();
        } catch (...) {
            machine.error = std::current_exception();
        }
        dispatch(self, true);
    }
}

void run_block(unsigned n_threads, bool shuffled) {
    Machine& m = machine;
    m.threads.assign(n_threads, Thread{});
    m.at_warp.assign((n_threads + kWarp - 1) / kWarp, 0);
    m.order.resize(n_threads);
    m.rank.resize(n_threads);
    m.ready.clear();
    m.begun = m.done = m.at_barrier = 0;
    for (unsigned t = 0; t < n_threads; ++t) {
        const unsigned place = shuffled ? draw(t + 1) : t;
        m.order[t] = m.order[place];
        m.order[place] = t;
    }
    for (unsigned i = 0; i < n_threads; ++i) m.rank[m.order[i]] = i;
    m.main.begun = true;
    m.by_rank = !shuffled || draw(2) == 0;  // some threads always ahead of others, or all at about the same pace
    dispatch(&m.main, false);
    if (!m.error) return;
    m.idle.clear();  // fibers in the midst of a thread are given up
    for (Fiber& fiber : m.fibers) {
        fiber.begun = false;
#ifdef __SANITIZE_ADDRESS__
        __asan_unpoison_memory_region(fiber.stack, fiber.size);
#endif
        m.idle.push_back(&fiber);
    }
    std::rethrow_exception(std::exchange(m.error, nullptr));
}

}  // namespace
}  // namespace cuda_on_cpu
