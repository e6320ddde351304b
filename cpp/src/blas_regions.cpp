#include "fastautorec/blas_regions.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace fastautorec {
namespace {

struct Regions {
    std::mutex mutex;
    std::condition_variable left;
    int threads = 0;         // that are inside
    std::vector<int> saved;  // of the libraries with one number for the process, while a thread is inside
    std::thread::id closer;
    std::atomic<bool> closed{false};
};

// Both are never destroyed: threads may be inside while the process ends.
std::vector<BlasThreads>& libraries() {
    static auto* all = new std::vector<BlasThreads>;
    return *all;
}

std::atomic<Regions*>& current() {
    static auto* regions = new std::atomic<Regions*>(new Regions);
    return *regions;
}

thread_local int depth = 0;
thread_local bool limited_for_good = false;
thread_local std::vector<int> saved_here;

void limit(bool per_thread, std::vector<int>& saved) {
    saved.clear();
    for (const BlasThreads& library : libraries()) {
        if (library.per_thread != per_thread) continue;
        saved.push_back(library.get());
        library.set(1);
    }
}

void restore(bool per_thread, const std::vector<int>& saved) {
    std::size_t place = 0;
    for (const BlasThreads& library : libraries())
        if (library.per_thread == per_thread) library.set(saved[place++]);
}

}  // namespace

void add_blas(BlasThreads library) { libraries().push_back(library); }

bool enter_region() {
    Regions& regions = *current();
    const bool barred = regions.closed && regions.closer != std::this_thread::get_id();
    if (depth > 0 && !barred) {
        ++depth;
        return true;
    }
    const std::scoped_lock lock(regions.mutex);
    if (barred) {
        if (depth > 0) --regions.threads;
        depth = 0;
        regions.left.notify_all();
        return false;
    }
    limit(true, saved_here);
    if (regions.threads++ == 0) limit(false, regions.saved);
    depth = 1;
    return true;
}

void leave_region() {
    if (depth == 0 || --depth > 0) return;
    Regions& regions = *current();
    const std::scoped_lock lock(regions.mutex);
    if (--regions.threads == 0) {
        restore(false, regions.saved);
        regions.left.notify_all();
    }
    restore(true, saved_here);
}

void limit_own_thread() {
    if (depth > 0 || limited_for_good) return;
    limited_for_good = true;
    std::vector<int> unused;
    limit(true, unused);
}

bool renew_regions() {
    const Regions& parents = *current();  // stays as it is: another thread may have held its lock
    auto mine = std::make_unique<Regions>();
    mine->saved = parents.saved;
    mine->threads = depth > 0 ? 1 : 0;
    const bool lost = parents.threads > mine->threads;
    if (lost && depth == 0) restore(false, parents.saved);
    current() = mine.release();
    return lost;
}

bool close_regions(std::chrono::milliseconds patience) {
    Regions& regions = *current();
    std::unique_lock<std::mutex> lock(regions.mutex);
    regions.closer = std::this_thread::get_id();
    regions.closed = true;
    const int own = depth > 0 ? 1 : 0;
    return regions.left.wait_for(lock, patience, [&] { return regions.threads <= own; });
}

}  // namespace fastautorec
