#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/rank_ops.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kRowsPerTask = 128;

// Tables of prefix sums, entry l for the first l ranks: gains 1 / log2(rank + 1) and reciprocals 1 / rank.
struct Tables {
    std::vector<double> gains{0.0}, reciprocals{0.0};

    explicit Tables(std::int64_t size) {
        for (std::int64_t rank = 1; rank <= size; ++rank) {
            gains.push_back(gains.back() + 1.0 / std::log2(static_cast<double>(rank) + 1.0));
            reciprocals.push_back(reciprocals.back() + 1.0 / static_cast<double>(rank));
        }
    }
};

// Finds test items in lists by a table of the items, which is all zeros between two lists.
class Finder {
   public:
    explicit Finder(std::int64_t n_items) : entry_(static_cast<std::size_t>(n_items)) {}

    // Calls hit(entry, rank), entry from 0 and rank from 1, for the first place of each test item begin..end that is
    // in the list, by ascending rank.
    template <class Hit>
    void find(const std::int32_t* list, std::int64_t length, const std::int32_t* begin, const std::int32_t* end,
              const Hit& hit) {
        for (const auto* p = begin; p != end; ++p) at(*p) = static_cast<std::int32_t>(p - begin + 1);
        for (std::int64_t l = 0; l < length; ++l) {
            const std::int32_t id = list[l];
            if (id < 0 || static_cast<std::size_t>(id) >= entry_.size() || at(id) == 0) continue;
            hit(at(id) - 1, l + 1);
            at(id) = 0;  // a repeated id counts once
        }
        for (const auto* p = begin; p != end; ++p) at(*p) = 0;
    }

   private:
    std::int32_t& at(std::int32_t id) { return entry_[static_cast<std::size_t>(id)]; }

    std::vector<std::int32_t> entry_;  // of each item among the test items, from 1; 0 if it is none
};

struct Request {
    const std::int64_t* cutoffs;
    std::int64_t n_cutoffs;
    Definition definition;
    std::int64_t list_length;
    const Tables& tables;
};

// Metrics of one user from the ascending ranks (from 1) of the hits; `total` test items.
void metrics_of_user(const std::vector<std::int64_t>& ranks, std::int64_t total, const Request& ask, double* out) {
    const bool paper = ask.definition == Definition::kPaper;
    const auto gain = [](std::int64_t rank) { return 1.0 / std::log2(static_cast<double>(rank) + 1.0); };
    const auto ideal = [&](std::int64_t n) { return ask.tables.gains[static_cast<std::size_t>(n)]; };
    const auto harmonic = [&](std::int64_t n) { return ask.tables.reciprocals[static_cast<std::size_t>(n)]; };
    const std::int64_t longest = ask.cutoffs[ask.n_cutoffs - 1], at = std::min(total, ask.list_length);

    double* ndcg = out + 2;
    double* map = paper ? ndcg : ndcg + ask.n_cutoffs;
    double* precision = map + ask.n_cutoffs;
    double* recall = precision + ask.n_cutoffs;
    double* f1 = recall + ask.n_cutoffs;

    double dcg = 0.0, sum = 0.0;  // of the hits so far; sum is MAP's numerator
    std::int64_t hits = 0, r_hits = 0;
    auto rank = ranks.begin();
    for (std::int64_t c = 0; c < ask.n_cutoffs; ++c) {
        const std::int64_t k = ask.cutoffs[c];
        for (; rank != ranks.end() && *rank <= k; ++rank) {
            ++hits;
            dcg += gain(*rank);
            // paper: a hit at rank r adds 1/l to precision@l of every l >= r, that is harmonic(k) - harmonic(r - 1)
            sum += paper ? harmonic(*rank - 1) : static_cast<double>(hits) / static_cast<double>(*rank);
        }
        const auto found = static_cast<double>(hits);
        precision[c] = found / static_cast<double>(k);
        recall[c] = found / static_cast<double>(total);
        f1[c] = hits ? 2.0 * precision[c] * recall[c] / (precision[c] + recall[c]) : 0.0;
        map[c] = paper ? (found * harmonic(k) - sum) / static_cast<double>(k)
                       : sum / static_cast<double>(std::min(k, total));
        if (!paper) ndcg[c] = dcg / ideal(std::min(k, total));
    }
    for (const std::int64_t r : ranks) r_hits += r <= at;
    out[0] = static_cast<double>(r_hits) / static_cast<double>(total);
    out[1] = dcg / ideal(paper ? total : std::min(longest, total));
}

}  // namespace

void ranking_metrics(MatrixView<const std::int32_t> ids, const CsrView& test, const std::int64_t* cutoffs,
                     std::int64_t n_cutoffs, Definition definition, MatrixView<double> out, int num_threads) {
    const std::int64_t columns = 2 + n_cutoffs * (definition == Definition::kPaper ? 4 : 5);
    require(n_cutoffs > 0 && cutoffs[0] > 0, "ranking_metrics: needs at least one positive cut-off");
    require(std::is_sorted(cutoffs, cutoffs + n_cutoffs), "ranking_metrics: cut-offs must be ascending");
    require(ids.rows == test.n_rows, "ranking_metrics: ids must have the rows of test");
    require(out.rows == ids.rows && out.cols == columns, "ranking_metrics: out has the wrong shape");
    std::int64_t longest = std::max(ids.cols, cutoffs[n_cutoffs - 1]);
    for (std::int64_t u = 0; u < test.n_rows; ++u) longest = std::max(longest, test.indptr[u + 1] - test.indptr[u]);
    const Tables tables(longest);
    const Request ask{cutoffs, n_cutoffs, definition, ids.cols, tables};

    parallel_for((ids.rows + kRowsPerTask - 1) / kRowsPerTask, num_threads, [&](std::int64_t t) {
        Finder finder(test.n_cols);
        std::vector<std::int64_t> ranks;
        const std::int64_t stop = std::min(ids.rows, (t + 1) * kRowsPerTask);
        for (std::int64_t u = t * kRowsPerTask; u < stop; ++u) {
            const std::int32_t* begin = test.indices + test.indptr[u];
            const std::int32_t* end = test.indices + test.indptr[u + 1];
            if (begin == end) {
                std::fill_n(out.row(u), columns, std::numeric_limits<double>::quiet_NaN());
                continue;
            }
            ranks.clear();
            finder.find(ids.row(u), ids.cols, begin, end,
                        [&](std::int64_t, std::int64_t rank) { ranks.push_back(rank); });
            metrics_of_user(ranks, end - begin, ask, out.row(u));
        }
    });
}

void find_ranks(MatrixView<const std::int32_t> ids, const CsrView& test, const std::int32_t* lengths,
                const std::int64_t* starts, VectorView<std::int32_t> out, int num_threads) {
    require(ids.rows == test.n_rows, "find_ranks: ids must have the rows of test");
    for (std::int64_t u = 0; u < test.n_rows; ++u)
        require(starts[u] >= 0 && starts[u] + test.indptr[u + 1] - test.indptr[u] <= out.size,
                "find_ranks: ranks must fit into out");
    parallel_for((ids.rows + kRowsPerTask - 1) / kRowsPerTask, num_threads, [&](std::int64_t t) {
        Finder finder(test.n_cols);
        const std::int64_t stop = std::min(ids.rows, (t + 1) * kRowsPerTask);
        for (std::int64_t u = t * kRowsPerTask; u < stop; ++u) {
            const std::int32_t* begin = test.indices + test.indptr[u];
            const std::int32_t* end = test.indices + test.indptr[u + 1];
            std::int32_t* ranks = out.data + starts[u];
            std::fill(ranks, ranks + (end - begin), 0);
            finder.find(ids.row(u), std::min<std::int64_t>(ids.cols, lengths[u]), begin, end,
                        [&](std::int64_t entry, std::int64_t rank) { ranks[entry] = static_cast<std::int32_t>(rank); });
        }
    });
}

}  // namespace fastautorec
