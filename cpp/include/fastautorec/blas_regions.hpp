// Regions of our work in which the host's BLAS libraries have one thread each. The first thread in limits them, the
// last one out gives back what was there.
#pragma once

#include <chrono>
#include <cstdint>

namespace fastautorec {

// How a library tells and takes its number of threads: one for the process or one for each of its callers.
struct BlasThreads {
    int (*get)();
    void (*set)(std::int64_t);
    bool per_thread;
};

// Not while a region is open.
void add_blas(BlasThreads library);

// A thread may enter again where it is inside already. False once close_regions was called in another thread: the
// caller must compute nothing more, and is no longer counted as inside.
[[nodiscard]] bool enter_region();
void leave_region();

// For threads of ours that live inside a region of another thread.
void limit_own_thread();

// In a forked child: no thread but this one is inside. Returns whether one was in the parent.
bool renew_regions();

// Before the process ends, for a BLAS library frees its memory then: no thread enters any more, except this one, and
// those who are inside have so long to come out. Returns whether all did.
bool close_regions(std::chrono::milliseconds patience);

}  // namespace fastautorec
