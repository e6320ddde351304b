#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.hpp"
#include "fastautorec/blas_regions.hpp"

using fastautorec::add_blas;
using fastautorec::close_regions;
using fastautorec::enter_region;
using fastautorec::leave_region;
using fastautorec::limit_own_thread;
using fastautorec::renew_regions;
using std::chrono::milliseconds;

namespace {

std::atomic<int> of_process{4};
thread_local int of_thread = 3;

int get_of_process() { return of_process; }
void set_of_process(std::int64_t count) { of_process = static_cast<int>(count); }
int get_of_thread() { return of_thread; }
void set_of_thread(std::int64_t count) { of_thread = static_cast<int>(count); }

bool counts_are(int process, int thread) { return of_process == process && of_thread == thread; }

template <class Function>
void in_thread(Function function) {
    std::thread thread(function);
    thread.join();
}

}  // namespace

TEST(libraries_are_limited_inside_and_restored_outside) {
    for (int round = 0; round < 2; ++round) {
        CHECK(enter_region());
        CHECK(counts_are(1, 1));
        CHECK(enter_region());
        leave_region();
        CHECK(counts_are(1, 1));
        leave_region();
        CHECK(counts_are(4, 3));
    }
}

TEST(the_number_that_is_restored_is_the_last_one_set_outside) {
    of_process = 7;
    CHECK(enter_region());
    leave_region();
    CHECK(of_process == 7);
    of_process = 4;
}

TEST(first_in_and_last_out_are_different_threads) {
    std::atomic<bool> entered{false}, leave{false}, good{true};
    CHECK(enter_region());
    std::thread other([&] {
        good = enter_region() && counts_are(1, 1);
        entered = true;
        while (!leave) std::this_thread::yield();
        leave_region();
        if (of_thread != 3) good = false;
    });
    while (!entered) std::this_thread::yield();
    leave_region();
    CHECK(counts_are(1, 3));  // the other thread is inside
    leave = true;
    other.join();
    CHECK(good);
    CHECK(counts_are(4, 3));
}

TEST(many_threads_enter_and_leave) {
    std::vector<std::thread> threads;
    std::atomic<bool> good{true};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int round = 0; round < 1000; ++round) {
                if (!enter_region() || !counts_are(1, 1)) good = false;
                leave_region();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(good);
    CHECK(counts_are(4, 3));
}

TEST(a_thread_of_ours_is_limited_for_good) {
    in_thread([] {
        limit_own_thread();
        CHECK(counts_are(4, 1));
    });
    CHECK(counts_are(4, 3));
}

TEST(forked_child_forgets_the_threads_of_its_parent) {
    std::atomic<bool> entered{false}, leave{false};
    std::thread other([&] {
        entered = enter_region();
        while (!leave) std::this_thread::yield();
        leave_region();
    });
    while (!entered) std::this_thread::yield();
    const pid_t child = fork();
    if (child == 0) {
        bool good = renew_regions() && counts_are(4, 3) && enter_region() && counts_are(1, 1);
        leave_region();
        good = good && counts_are(4, 3) && !renew_regions();
        _exit(good ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    leave = true;
    other.join();
    CHECK(counts_are(4, 3));
}

TEST(a_thread_that_forks_inside_stays_inside) {
    CHECK(enter_region());
    const pid_t child = fork();
    if (child == 0) {
        bool good = !renew_regions() && counts_are(1, 1);
        leave_region();
        _exit(good && counts_are(4, 3) ? 0 : 1);
    }
    leave_region();
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// The last one: nothing opens the regions again.
TEST(only_the_closing_thread_enters_after_the_end) {
    std::atomic<bool> entered{false}, closing{false};
    std::thread nested([&] {
        entered = enter_region();
        while (!closing) std::this_thread::yield();
        std::this_thread::sleep_for(milliseconds(50));
        CHECK(!enter_region());  // and is inside no more
    });
    std::thread slow([&] {
        while (!entered) std::this_thread::yield();
        CHECK(enter_region());
        closing = true;
        std::this_thread::sleep_for(milliseconds(100));
        leave_region();
    });
    while (!closing) std::this_thread::yield();
    CHECK(close_regions(milliseconds(10000)));
    nested.join();
    slow.join();
    in_thread([] { CHECK(!enter_region()); });
    CHECK(enter_region());
    CHECK(close_regions(milliseconds(0)));  // does not wait for itself
    leave_region();
}

int main() {
    add_blas({get_of_process, set_of_process, false});
    add_blas({get_of_thread, set_of_thread, true});
    return testing::run_all();
}
