#include "fastautorec/parallel.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace fastautorec {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kAskEvery = std::chrono::milliseconds(50);

std::atomic<bool (*)()> interrupt_check{nullptr};

// What one parallel_for call shares between its threads.
struct Job {
    Job(const std::function<void(std::int64_t)>& run, std::int64_t count) : task(run), n_tasks(count) {}

    const std::function<void(std::int64_t)>& task;
    std::int64_t n_tasks;
    std::atomic<std::int64_t> next{0};
    std::atomic<bool> stop{false};
    std::mutex error_mutex;
    std::exception_ptr error;

    void fail(std::exception_ptr e) {
        const std::scoped_lock lock(error_mutex);
        if (!error) error = std::move(e);
        stop = true;
    }

    void work();
};

thread_local Job* current_job = nullptr;  // set while this thread runs tasks
thread_local bool asks_host = false;      // the thread that called parallel_for
thread_local Clock::time_point last_asked;

void Job::work() {
    current_job = this;
    try {
        for (std::int64_t i; !stop && (i = next.fetch_add(1)) < n_tasks;) {
            poll_interrupt();
            task(i);
        }
    } catch (...) {
        fail(std::current_exception());
    }
    current_job = nullptr;
}

// Asks the host, which may answer by running signal handlers, whether to stop.
bool asks_to_stop() {
    const auto check = interrupt_check.load();
    return check && check();
}

class Pool {
   public:
    void run(Job& job, int helpers) {
        helpers = std::min(helpers, grow(helpers));
        {
            const std::scoped_lock lock(mutex_);
            job_ = &job;
            wanted_ = helpers;
            ++round_;
        }
        wake_.notify_all();
        job.work();
        std::unique_lock<std::mutex> lock(mutex_);
        job_ = nullptr;  // who has not come yet finds nothing left to do, and is not waited for
        while (!done_.wait_for(lock, kAskEvery, [this] { return running_ == 0; })) {
            lock.unlock();  // the host's check may take locks of its own
            if (!job.stop && asks_to_stop()) job.fail(std::make_exception_ptr(Interrupted{}));
            lock.lock();
        }
    }

   private:
    // Starts threads until there are `wanted` and returns how many there are.
    int grow(int wanted) {
        try {
            for (; threads_ < wanted; ++threads_) std::thread([this, id = threads_] { loop(id); }).detach();
        } catch (const std::system_error&) {  // the system allows no more
        }
        return threads_;
    }

    [[noreturn]] void loop(int id) {
        std::uint64_t seen = 0;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return round_ != seen && id < wanted_ && job_; });
            seen = round_;
            Job* job = job_;
            ++running_;
            lock.unlock();
            job->work();
            lock.lock();
            if (--running_ == 0) done_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_, done_;
    Job* job_ = nullptr;
    std::uint64_t round_ = 0;
    int wanted_ = 0;
    int running_ = 0;
    int threads_ = 0;
};

// The pool and the process that made it: a forked child has none of its parent's threads and needs a pool of its own.
// It is never destroyed and its threads are detached: at exit or in a child there may be no thread left to join.
struct PoolOfProcess {
    std::mutex in_use;
    std::unique_ptr<Pool> pool = std::make_unique<Pool>();
    pid_t pid = getpid();
};

// Without a lock, since a fork may happen while another thread holds one.
PoolOfProcess& this_process() {
    static std::atomic<PoolOfProcess*> instance{nullptr};
    PoolOfProcess* seen = instance.load();
    if (seen && seen->pid == getpid()) return *seen;
    auto mine = std::make_unique<PoolOfProcess>();
    return instance.compare_exchange_strong(seen, mine.get()) ? *mine.release() : *seen;
}

}  // namespace

void set_interrupt_check(bool (*check)()) { interrupt_check = check; }

void poll_interrupt() {
    if (!current_job) return;
    if (current_job->stop) throw Interrupted{};
    if (!asks_host) return;
    const auto now = Clock::now();
    if (now - last_asked < kAskEvery) return;
    last_asked = now;
    if (asks_to_stop()) throw Interrupted{};
}

void parallel_for(std::int64_t n_tasks, int num_threads, const std::function<void(std::int64_t)>& task) {
    if (n_tasks <= 0) return;
    if (current_job) {  // nested: this thread is one of the pool's already
        for (std::int64_t i = 0; i < n_tasks; ++i) {
            poll_interrupt();
            task(i);
        }
        return;
    }
    Job job(task, n_tasks);
    const int helpers = static_cast<int>(std::min<std::int64_t>(num_threads, n_tasks)) - 1;
    asks_host = true;
    last_asked = Clock::now();
    if (helpers > 0) {
        PoolOfProcess& process = this_process();
        std::unique_lock<std::mutex> lock(process.in_use, std::try_to_lock);
        if (lock.owns_lock()) {
            process.pool->run(job, helpers);
        } else {
            job.work();
        }
    } else {
        job.work();
    }
    asks_host = false;
    if (job.error) std::rethrow_exception(job.error);
}

}  // namespace fastautorec
