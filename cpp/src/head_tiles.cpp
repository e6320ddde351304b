#include "fastautorec/head_tiles.hpp"

#include "fastautorec/row_math.hpp"

namespace fastautorec {
namespace {

FASTAUTOREC_CLONES void add_groups_of_rows(const float* sums, std::int64_t groups, float factor, std::int64_t start,
                                           Matrix total, std::int64_t size) {
    for (std::int64_t u = 0; u < total.rows; ++u)
        for (std::int64_t g = 0; g < groups; ++g)
            add_scaled(factor, sums + g * size + (start + u) * ScratchMatrix::row_stride(total.cols), total.cols,
                       total.row(u));
}

}  // namespace

void add_groups(const float* sums, std::int64_t groups, float factor, Matrix total, int num_threads) {
    const std::int64_t size = total.rows * ScratchMatrix::row_stride(total.cols);
    parallel_for((total.rows + kUsersPerTask - 1) / kUsersPerTask, num_threads, [&](std::int64_t t) {
        const std::int64_t start = t * kUsersPerTask, stop = std::min(total.rows, start + kUsersPerTask);
        add_groups_of_rows(sums, groups, factor, start, rows_of(total, start, stop), size);
    });
}

}  // namespace fastautorec
