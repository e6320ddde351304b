#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.hpp"
#include "fastautorec/parallel.hpp"

using fastautorec::Interrupted;
using fastautorec::parallel_for;
using fastautorec::poll_interrupt;
using fastautorec::set_interrupt_check;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

bool every_task_ran_once(std::int64_t n_tasks, int num_threads) {
    std::vector<int> runs(static_cast<std::size_t>(n_tasks));
    parallel_for(n_tasks, num_threads, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
    return std::all_of(runs.begin(), runs.end(), [](int count) { return count == 1; });
}

std::atomic<bool> stop_asked{false};

bool answer() { return stop_asked; }

// While it lives, the host answers the question "stop?" with yes.
struct StopAsked {
    StopAsked() {
        stop_asked = true;
        set_interrupt_check(&answer);
    }
    ~StopAsked() { set_interrupt_check(nullptr); }
};

void spin_until_interrupted() {
    const auto start = Clock::now();
    while (seconds_since(start) < 20) poll_interrupt();
}

}  // namespace

TEST(every_task_runs_once) {
    for (const int threads : {1, 2, 7}) {
        for (const std::int64_t n : {0, 1, 2, 3, 1000}) CHECK(every_task_ran_once(n, threads));
    }
}

TEST(first_exception_is_rethrown_and_ends_the_rest) {
    for (const int threads : {1, 2, 7}) {
        std::atomic<int> runs{0};
        const auto run = [&] {
            parallel_for(100000, threads, [&](std::int64_t i) {
                ++runs;
                if (i == 3) throw std::runtime_error("task 3");
                // All would take 16 s: on a busy machine the others may get far before the thread of task 3 goes on.
                if (i > 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            });
        };
        CHECK_THROWS(run(), std::runtime_error);
        CHECK(runs < 100000);
        CHECK(every_task_ran_once(100, threads));  // the pool still works
    }
}

TEST(nested_calls_run_in_the_thread_of_the_task) {
    std::atomic<int> runs{0};
    std::atomic<bool> same_thread{true};
    parallel_for(8, 4, [&](std::int64_t) {
        const auto outer = std::this_thread::get_id();
        parallel_for(10, 4, [&](std::int64_t) {
            ++runs;
            if (std::this_thread::get_id() != outer) same_thread = false;
        });
    });
    CHECK(runs == 80);
    CHECK(same_thread);
}

TEST(exception_leaves_a_nested_call) {
    const auto run = [] {
        parallel_for(4, 2,
                     [](std::int64_t) { parallel_for(4, 2, [](std::int64_t) { throw std::runtime_error("inner"); }); });
    };
    CHECK_THROWS(run(), std::runtime_error);
}

TEST(several_threads_may_call_at_once) {
    std::vector<std::thread> callers;
    callers.reserve(4);
    std::atomic<bool> good{true};
    for (int c = 0; c < 4; ++c) {
        callers.emplace_back([&] {
            for (int round = 0; round < 50; ++round) {
                if (!every_task_ran_once(64, 3)) good = false;
            }
        });
    }
    for (auto& caller : callers) caller.join();
    CHECK(good);
}

TEST(interrupt_stops_tasks_in_every_thread) {
    for (const int threads : {1, 2, 7}) {
        const auto start = Clock::now();
        {
            const StopAsked asked;
            CHECK_THROWS(parallel_for(16, threads, [](std::int64_t) { spin_until_interrupted(); }), Interrupted);
        }
        CHECK(seconds_since(start) < 5);
        CHECK(every_task_ran_once(100, threads));
    }
}

TEST(interrupt_is_noticed_while_the_caller_waits_for_the_last_task) {
    const auto caller = std::this_thread::get_id();
    const auto start = Clock::now();
    std::atomic<int> arrived{0};
    const StopAsked asked;
    const auto run = [&] {
        parallel_for(2, 2, [&](std::int64_t) {  // one task each: the caller's ends at once, the helper's does not
            for (++arrived; arrived < 2;) std::this_thread::yield();
            if (std::this_thread::get_id() != caller) spin_until_interrupted();
        });
    };
    CHECK_THROWS(run(), Interrupted);
    CHECK(seconds_since(start) < 5);
}

TEST(no_interrupt_outside_of_tasks) {
    const StopAsked asked;
    poll_interrupt();
    CHECK(true);
}

TEST(forked_child_has_a_pool_of_its_own) {
    CHECK(every_task_ran_once(100, 3));
    const pid_t child = fork();
    if (child == 0) _exit(every_task_ran_once(100, 3) && every_task_ran_once(100, 7) ? 0 : 1);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(every_task_ran_once(100, 3));
}

int main() { return testing::run_all(); }
