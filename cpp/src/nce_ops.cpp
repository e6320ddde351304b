#include "fastautorec/nce_ops.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "fastautorec/parallel.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kEntriesPerTask = 1 << 16;
constexpr std::int64_t kCached = 1 << 12;

// Whether all of some ids are those of items; without a branch, so that it is vector code.
bool in_range(const std::int32_t* ids, std::int64_t count, std::int64_t n_items) {
    const auto last = static_cast<std::uint32_t>(n_items - 1);
    std::uint32_t signs =
        0;  // the top bit of an id is set if it is negative, that of the difference if it is too large
    for (std::int64_t p = 0; p < count; ++p) {
        const auto id = static_cast<std::uint32_t>(ids[p]);
        signs |= id | (last - id);
    }
    return n_items > 0 ? signs >> 31 == 0 : count == 0;
}

template <class Body>
void for_entries(const CsrView& x, int num_threads, const Body& body) {
    const std::int64_t begin = x.indptr[0], end = x.indptr[x.n_rows];
    parallel_for((end - begin + kEntriesPerTask - 1) / kEntriesPerTask, num_threads, [&](std::int64_t t) {
        const std::int64_t start = begin + t * kEntriesPerTask;
        body(start, std::min(end, start + kEntriesPerTask));
    });
}

}  // namespace

std::int64_t count_items(const CsrView& x, std::int64_t* counts, int num_threads) {
    std::fill_n(counts, x.n_cols, 0);
    // One thread's share of the counters at a time: integers, so the order of the additions does not matter.
    const std::int64_t shares =
        std::max<std::int64_t>(1, std::min<std::int64_t>(num_threads, x.nnz() / kEntriesPerTask));
    std::vector<std::vector<std::int64_t>> partial(static_cast<std::size_t>(shares - 1),
                                                   std::vector<std::int64_t>(static_cast<std::size_t>(x.n_cols)));
    std::vector<std::int64_t> wrong(static_cast<std::size_t>(shares), -1);
    const std::int64_t begin = x.indptr[0], nnz = x.nnz();
    parallel_for(shares, num_threads, [&](std::int64_t t) {
        std::int64_t* mine = t == 0 ? counts : partial[static_cast<std::size_t>(t - 1)].data();
        const std::int64_t stop = begin + nnz * (t + 1) / shares;
        for (std::int64_t p = begin + nnz * t / shares; p < stop;) {
            const std::int64_t end = std::min(stop, p + kCached);
            if (!in_range(x.indices + p, end - p, x.n_cols)) {
                while (in_range(x.indices + p, 1, x.n_cols)) ++p;
                wrong[static_cast<std::size_t>(t)] = p;
                return;
            }
            for (; p < end; ++p) ++mine[x.indices[p]];
        }
    });
    for (const std::int64_t place : wrong) {
        if (place >= 0) return place;
    }
    for (const auto& part : partial) {
        for (std::int64_t j = 0; j < x.n_cols; ++j) counts[j] += part[static_cast<std::size_t>(j)];
    }
    return -1;
}

void nce_transform(const CsrView& x, double beta, bool per_interaction, float* values, int num_threads) {
    const auto n = static_cast<std::size_t>(x.n_cols);
    std::vector<std::int64_t> popularity(n);
    count_items(x, popularity.data(), num_threads);
    const double log_total = std::log(static_cast<double>(per_interaction ? x.nnz() : x.n_rows));
    std::vector<float> weight(n);
    for (std::size_t j = 0; j < n; ++j) {  // items without users never occur in the pattern
        if (popularity[j] > 0) {
            weight[j] =
                static_cast<float>(std::max(log_total - beta * std::log(static_cast<double>(popularity[j])), 0.0));
        }
    }
    const std::int64_t offset = x.indptr[0];
    for_entries(x, num_threads, [&](std::int64_t start, std::int64_t stop) {
        for (std::int64_t p = start; p < stop; ++p) values[p - offset] = weight[static_cast<std::size_t>(x.indices[p])];
    });
}

}  // namespace fastautorec
