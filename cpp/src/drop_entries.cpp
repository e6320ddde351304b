#include <algorithm>

#include "fastautorec/parallel.hpp"
#include "fastautorec/philox.h"
#include "fastautorec/sparse_ops.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kRowsPerTask = 1024;

}  // namespace

void drop_entries(const CsrView& x, float rate, std::uint64_t seed, std::uint32_t epoch, const std::int64_t* users,
                  float* values, int num_threads) {
    const float kept = 1.0f / (1.0f - rate);
    // A word w stands for the uniform number w / 2^32; as integers the comparison is exact on every device.
    const auto threshold = static_cast<std::uint64_t>(static_cast<double>(rate) * 4294967296.0);
    const std::int64_t tasks = (x.n_rows + kRowsPerTask - 1) / kRowsPerTask;
    const std::int64_t offset = x.indptr[0];
    parallel_for(tasks, num_threads, [&](std::int64_t t) {
        const std::int64_t stop = std::min(x.n_rows, (t + 1) * kRowsPerTask);
        for (std::int64_t u = t * kRowsPerTask; u < stop; ++u) {
            const auto user = static_cast<unsigned long long>(users ? users[u] : u);
            for (std::int64_t p = x.indptr[u]; p < x.indptr[u + 1]; p += 4) {
                const auto block = static_cast<unsigned int>((p - x.indptr[u]) / 4);
                const Philox4x32 bits = philox_of_user(seed, epoch, user, block);
                for (std::int64_t e = p; e < std::min(p + 4, x.indptr[u + 1]); ++e) {
                    values[e - offset] = bits.word[e - p] < threshold ? 0.0f : x.value(e) * kept;
                }
            }
        }
    });
}

}  // namespace fastautorec
