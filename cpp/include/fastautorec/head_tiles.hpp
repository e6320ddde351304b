// What both heads share: a walk over tiles of items in fixed groups, each with its own sum of the hidden units'
// gradient.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "fastautorec/blas.hpp"
#include "fastautorec/check.hpp"
#include "fastautorec/item_tiles.hpp"
#include "fastautorec/optim_ops.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/scratch.hpp"

namespace fastautorec {

inline constexpr std::int64_t kMostGroups = 16;
inline constexpr std::int64_t kGroupFloats = std::int64_t{8} << 20;  // 32 MB: all groups' sums together
inline constexpr std::int64_t kUsersPerTask = 64;                    // of sums over the groups

// Groups that sums of `floats` each may have, at least one.
inline std::int64_t group_count(std::int64_t parts, std::int64_t floats) {
    const std::int64_t fitting = kGroupFloats / std::max<std::int64_t>(floats, 1);
    return std::clamp<std::int64_t>(std::min(parts, fitting), 1, kMostGroups);
}

inline void require_shapes(const CsrView& target, ConstMatrix hidden, const Parameter& decoder, Matrix grad_hidden) {
    require(hidden.rows == target.n_rows, "head: hidden must have one row for each user");
    require(decoder.value.rows == target.n_cols, "head: decoder must have one row for each item");
    require(decoder.value.cols == hidden.cols, "head: decoder must have the columns of hidden");
    require(!grad_hidden.data || (grad_hidden.rows == hidden.rows && grad_hidden.cols == hidden.cols),
            "head: grad_hidden must have the shape of hidden");
}

// total += factor * (the sum of the groups), in their order; each group is a matrix like a ScratchMatrix.
void add_groups(const float* sums, std::int64_t groups, float factor, Matrix total, int num_threads);

// Calls body(first, last, sum, fresh) for each tile and returns the sum of what it returns. `sum` (q, k) is the
// group's; body adds the gradient of the hidden units to it, and where `fresh` it holds nothing yet.
template <class Body>
double over_tiles(const ItemTiles& tiles, Matrix grad_hidden, float factor, int num_threads, const Body& body) {
    const std::int64_t stride = ScratchMatrix::row_stride(grad_hidden.cols);
    const std::int64_t size = grad_hidden.data ? grad_hidden.rows * stride : 0;
    const std::int64_t groups = std::min(tiles.count(), group_count(tiles.count(), size));
    const Scratch sums(groups * size);
    std::vector<double> losses(static_cast<std::size_t>(tiles.count()));
    parallel_for(groups, num_threads, [&](std::int64_t g) {
        const Matrix sum{size ? sums.data() + g * size : nullptr, grad_hidden.rows, grad_hidden.cols, stride};
        const std::int64_t begin = g * tiles.count() / groups, end = (g + 1) * tiles.count() / groups;
        for (std::int64_t t = begin; t < end; ++t) {
            poll_interrupt();
            losses[static_cast<std::size_t>(t)] = body(tiles.first(t), tiles.last(t), sum, t == begin);
        }
    });
    if (size) add_groups(sums.data(), groups, factor, grad_hidden, num_threads);
    return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace fastautorec
