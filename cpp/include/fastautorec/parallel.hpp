// A pool of threads that runs numbered tasks. Results must not depend on which thread runs a task.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>

namespace fastautorec {

// Thrown out of parallel_for when the interrupt check says so.
struct Interrupted : std::exception {
    const char* what() const noexcept override { return "interrupted"; }
};

// Runs task(0..n_tasks-1) on up to num_threads threads, the calling one included, and returns when all are done. The
// first exception ends the remaining tasks and is rethrown. A call from inside a task, or while another thread uses
// the pool, runs in the calling thread alone. Safe after fork.
void parallel_for(std::int64_t n_tasks, int num_threads, const std::function<void(std::int64_t)>& task);

// Long tasks call this now and then (every few milliseconds): it throws Interrupted once an interrupt was asked for.
void poll_interrupt();

// The host language's question "stop?" (Ctrl-C). It is asked at most every 50 ms, in the calling thread only.
void set_interrupt_check(bool (*check)());

}  // namespace fastautorec
