#include <algorithm>
#include <limits>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/rank_ops.hpp"
#include "fastautorec/row_selector.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kRowsPerTask = 16;

}  // namespace

void top_items(ConstMatrix scores, const CsrView* exclude, std::int64_t first_item, MatrixView<std::int32_t> ids,
               Matrix best, int num_threads) {
    require(ids.rows == scores.rows && best.rows == scores.rows && ids.cols == best.cols,
            "top_items: ids and best must be (users, n_top)");
    require(!exclude || (exclude->n_rows == scores.rows && exclude->n_cols >= first_item + scores.cols),
            "top_items: exclude must have the rows of scores and at least its columns");
    require(first_item >= 0 && first_item + scores.cols <= std::numeric_limits<std::int32_t>::max(),
            "top_items: item ids must fit in 32 bits");
    const std::int64_t n_top = ids.cols, tasks = (scores.rows + kRowsPerTask - 1) / kRowsPerTask;
    if (n_top == 0) return;
    parallel_for(tasks, num_threads, [&](std::int64_t t) {
        RowSelector selector(scores.cols, n_top);
        std::vector<float> row(static_cast<std::size_t>(RowSelector::padded(scores.cols)), kNever);
        std::vector<std::uint64_t> keys;
        const std::int64_t stop = std::min(scores.rows, (t + 1) * kRowsPerTask);
        for (std::int64_t u = t * kRowsPerTask; u < stop; ++u) {
            std::int32_t* id = ids.row(u);
            float* score = best.row(u);
            keys.clear();
            for (std::int64_t l = 0; l < n_top && id[l] >= 0; ++l) keys.push_back(to_key(score[l], id[l]));
            std::copy_n(scores.row(u), scores.cols, row.data());
            if (exclude) leave_out(*exclude, u, first_item, scores.cols, row.data());
            selector.look_at(row.data());
            const bool full = static_cast<std::int64_t>(keys.size()) == n_top;
            const std::int64_t count = selector.find(selector.floor(full ? score_of(keys.back()) : kNever));
            for (std::int64_t c = 0; c < count; ++c) {
                const std::int32_t place = selector.found()[c];
                const float score_there = row[static_cast<std::size_t>(place)];
                if (score_there > kNever)
                    keys.push_back(to_key(score_there, static_cast<std::int32_t>(first_item) + place));
            }
            keep_best(keys, n_top);
            write_list(keys, n_top, id, score);
        }
    });
}

}  // namespace fastautorec
