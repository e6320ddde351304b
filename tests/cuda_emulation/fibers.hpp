// Fibers: stacks of their own between which one CPU thread switches, without system calls.
#pragma once

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstddef>
#include <deque>
#include <new>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace cuda_on_cpu {
namespace {

constexpr std::size_t kStack = 256 << 10, kGuard = 64 << 10;  // of address space; the guard is a page on every CPU

struct Fiber {
    char* stack = nullptr;
    std::size_t size = 0;
    jmp_buf context;
    bool begun = false;
    void* sanitizer = nullptr;
};

struct Fibers {
    Fiber main;  // the stack of the caller
    std::deque<Fiber> all;
    std::vector<Fiber*> idle;
    Fiber* left = nullptr;     // where the last switch came from
    void (*work)() = nullptr;  // what every fiber does, for ever

    Fibers() { main.begun = true; }
};

Fibers fibers;

// The first thing done on a stack after a switch to it.
void landed([[maybe_unused]] void* sanitizer) {
#ifdef __SANITIZE_ADDRESS__
    const void* bottom;
    __sanitizer_finish_switch_fiber(sanitizer, &bottom, &fibers.left->size);
    fibers.left->stack = static_cast<char*>(const_cast<void*>(bottom));
#endif
}

void begin() {
    landed(nullptr);
    fibers.work();
}

void jump(Fiber* from, Fiber* to) {
    fibers.left = from;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&from->sanitizer, to->stack, to->size);
#endif
    if (_setjmp(from->context) == 0) {
        if (to->begun) _longjmp(to->context, 1);
        to->begun = true;
        ucontext_t start;
        getcontext(&start);
        start.uc_stack.ss_sp = to->stack;
        start.uc_stack.ss_size = to->size;
        start.uc_link = nullptr;
        makecontext(&start, begin, 0);
        setcontext(&start);
    }
    landed(from->sanitizer);
}

Fiber* idle_fiber() {
    if (fibers.idle.empty()) {
        void* memory = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        mprotect(memory, kGuard, PROT_NONE);  // a stack that grows too large faults instead of writing over others
        Fiber& fiber = fibers.all.emplace_back();
        fiber.stack = static_cast<char*>(memory) + kGuard;
        fiber.size = kStack;
        fibers.idle.push_back(&fiber);
    }
    Fiber* fiber = fibers.idle.back();
    fibers.idle.pop_back();
    return fiber;
}

// After an error, on the main stack: fibers in the midst of work are given up.
void abandon_fibers() {
    fibers.idle.clear();
    for (Fiber& fiber : fibers.all) {
        fiber.begun = false;
#ifdef __SANITIZE_ADDRESS__
        __asan_unpoison_memory_region(fiber.stack, fiber.size);
#endif
        fibers.idle.push_back(&fiber);
    }
}

}  // namespace
}  // namespace cuda_on_cpu
