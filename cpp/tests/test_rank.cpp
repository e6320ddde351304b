#include <cmath>
#include <limits>
#include <stdexcept>

#include "check.hpp"
#include "fastautorec/rank_ops.hpp"
#include "matrices.hpp"

using namespace fastautorec;
using testing::Dense;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Lists {
    std::int64_t n_top;
    std::vector<std::int32_t> ids;
    Dense scores;

    Lists(std::int64_t users, std::int64_t n)
        : n_top(n), ids(static_cast<std::size_t>(users * n), -1), scores(users, n) {}

    MatrixView<std::int32_t> id_view() { return {ids.data(), scores.rows, n_top, n_top}; }
};

// Compares bits, so that NaN equals NaN.
bool same(const Lists& a, const Lists& b) {
    return a.ids == b.ids && std::equal(a.scores.data.begin(), a.scores.data.end(), b.scores.data.begin(),
                                        [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

Lists top_of(const Dense& scores, std::int64_t n_top, const CsrView* exclude, int threads, std::int64_t first = 0) {
    Lists lists(scores.rows, n_top);
    top_items(scores.view(), exclude, first, lists.id_view(), lists.scores.view(), threads);
    return lists;
}

Lists sorted_lists(const Dense& scores, std::int64_t n_top, const testing::Csr* exclude) {
    Lists lists(scores.rows, n_top);
    for (std::int64_t u = 0; u < scores.rows; ++u) {
        std::vector<std::int32_t> order;
        for (std::int32_t j = 0; j < scores.cols; ++j) {
            const bool hidden = exclude && std::binary_search(exclude->indices.data() + exclude->indptr[u],
                                                              exclude->indices.data() + exclude->indptr[u + 1], j);
            if (!hidden && scores.at(u, j) > -kInf) order.push_back(j);
        }
        std::sort(order.begin(), order.end(), [&](auto a, auto b) {
            return scores.at(u, a) > scores.at(u, b) || (scores.at(u, a) == scores.at(u, b) && a < b);
        });
        for (std::int64_t l = 0; l < n_top; ++l) {
            const bool listed = l < static_cast<std::int64_t>(order.size());
            lists.ids[u * n_top + l] = listed ? order[l] : -1;
            lists.scores.at(u, l) = listed ? scores.at(u, order[l]) : kNaN;
        }
    }
    return lists;
}

// Few distinct values, so ties abound; NaN and infinities among them.
Dense awkward_scores(std::int64_t users, std::int64_t items, unsigned seed) {
    std::mt19937 random(seed);
    const std::vector<float> values = {kNaN, -kInf, kInf, 0.0f, -1.0f, 0.5f, 0.5f, 2.0f};
    Dense scores(users, items, 5);
    for (float& s : scores.data) s = values[random() % values.size()];
    return scores;
}

std::vector<double> metrics_of(const std::vector<std::int32_t>& ids, const testing::Csr& test,
                               const std::vector<std::int64_t>& cutoffs, Definition definition, int threads = 1) {
    const std::int64_t rows = test.n_rows, length = static_cast<std::int64_t>(ids.size()) / rows;
    const auto n_cutoffs = static_cast<std::int64_t>(cutoffs.size());
    const std::int64_t columns = 2 + n_cutoffs * (definition == Definition::kPaper ? 4 : 5);
    std::vector<double> out(static_cast<std::size_t>(rows * columns));
    ranking_metrics({ids.data(), rows, length, length}, test.pattern(), cutoffs.data(), n_cutoffs, definition,
                    {out.data(), rows, columns, columns}, threads);
    return out;
}

bool close(const std::vector<double>& a, const std::vector<double>& b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) { return testing::close(x, y, 1e-12); });
}

}  // namespace

TEST(top_items_sorts_by_score_then_id) {
    const auto exclude = testing::random_csr(40, 700, 0.1, 1);
    const CsrView hidden = exclude.pattern();
    for (const bool awkward : {false, true}) {
        const Dense scores = awkward ? awkward_scores(40, 700, 2) : testing::random_dense(40, 700, 3, 5);
        for (const std::int64_t n_top : {1, 10, 50, 699, 700, 900}) {
            for (const int threads : {1, 2, 7}) {
                CHECK(same(top_of(scores, n_top, nullptr, threads), sorted_lists(scores, n_top, nullptr)));
                CHECK(same(top_of(scores, n_top, &hidden, threads), sorted_lists(scores, n_top, &exclude)));
            }
        }
    }
}

TEST(tiles_merge_into_the_whole) {
    const auto exclude = testing::random_csr(40, 700, 0.1, 4);
    const CsrView hidden = exclude.pattern();
    const Dense scores = awkward_scores(40, 700, 5);
    for (const std::int64_t n_top : {1, 20, 300}) {
        Lists merged(40, n_top);
        for (const auto& [first, last] : {std::pair{0, 1}, {1, 130}, {130, 130}, {130, 700}}) {
            const ConstMatrix tile{scores.data.data() + first, 40, last - first, scores.stride};
            top_items(tile, &hidden, first, merged.id_view(), merged.scores.view(), 2);
        }
        CHECK(same(merged, top_of(scores, n_top, &hidden, 1)));
    }
}

TEST(top_items_of_nothing) {
    CHECK(same(top_of(Dense(3, 0), 2, nullptr, 2), sorted_lists(Dense(3, 0), 2, nullptr)));
    CHECK(top_of(Dense(0, 3), 2, nullptr, 2).ids.empty());
    CHECK(top_of(Dense(3, 3), 0, nullptr, 2).ids.empty());
    const auto lists = top_of(Dense(0, 0), 0, nullptr, 2);
    CHECK(lists.ids.empty());
}

TEST(top_items_with_the_largest_ids) {
    const std::int64_t first = std::numeric_limits<std::int32_t>::max() - 3;
    const auto lists = top_of(testing::random_dense(1, 3, 6), 3, nullptr, 1, first);
    auto ids = lists.ids;
    std::sort(ids.begin(), ids.end());
    for (std::int32_t l = 0; l < 3; ++l) CHECK(ids[static_cast<std::size_t>(l)] == first + l);
    CHECK_THROWS(top_of(testing::random_dense(1, 4, 6), 3, nullptr, 1, first), std::invalid_argument);
}

TEST(metrics_of_a_worked_example) {
    testing::Csr test;  // the user has items 1, 4 and 7; the list finds the first two at ranks 1 and 3
    test.n_rows = 1;
    test.n_cols = 9;
    test.indptr = {0, 3};
    test.indices = {1, 4, 7};
    const std::vector<std::int32_t> ids = {1, 0, 4, 2};
    const double gain = 1 + 1 / std::log2(4.0), ideal2 = 1 + 1 / std::log2(3.0), ideal3 = ideal2 + 0.5;
    const double p2 = 0.5, p4 = 0.5, r2 = 1.0 / 3, r4 = 2.0 / 3;
    const double f2 = 2 * p2 * r2 / (p2 + r2), f4 = 2 * p4 * r4 / (p4 + r4);
    CHECK(
        close(metrics_of(ids, test, {2, 4}, Definition::kStandard),
              {2.0 / 3, gain / ideal3, 1 / ideal2, gain / ideal3, 1.0 / 2, (1 + 2.0 / 3) / 3, p2, p4, r2, r4, f2, f4}));
    CHECK(close(metrics_of(ids, test, {2, 4}, Definition::kPaper),
                {2.0 / 3, gain / ideal3, (1 + 0.5) / 2, (1 + 0.5 + 2.0 / 3 + 0.5) / 4, p2, p4, r2, r4, f2, f4}));
}

TEST(metrics_ignore_repeats_and_free_places) {
    testing::Csr test;
    test.n_rows = 2;
    test.n_cols = 3;
    test.indptr = {0, 1, 1};
    test.indices = {2};
    const auto table = metrics_of({-1, 2, 2, 1000, 0, 0, 0, 0}, test, {1, 4}, Definition::kStandard);
    CHECK(testing::close(table[7], 0.25, 1e-12));  // Precision@4: one hit, not two
    CHECK(std::all_of(table.begin() + 12, table.end(), [](double v) { return std::isnan(v); }));
}

TEST(metrics_have_the_same_bits_for_any_number_of_threads) {
    const auto test = testing::random_csr(1000, 80, 0.05, 7);
    const auto ids = top_of(testing::random_dense(1000, 80, 8), 30, nullptr, 1).ids;
    for (const auto definition : {Definition::kStandard, Definition::kPaper}) {
        const auto one = metrics_of(ids, test, {1, 7, 40}, definition, 1);
        for (const int threads : {2, 7}) {
            const auto more = metrics_of(ids, test, {1, 7, 40}, definition, threads);
            CHECK(std::equal(one.begin(), one.end(), more.begin(),
                             [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }));
        }
    }
}

TEST(ranks_are_those_of_a_search) {
    const auto test = testing::random_csr(300, 80, 0.1, 10);
    auto ids = top_of(testing::random_dense(300, 80, 11), 30, nullptr, 1).ids;
    for (std::size_t l = 0; l < ids.size(); l += 7) ids[l] = l % 2 ? -1 : ids[l / 30 * 30];  // free places and repeats
    std::vector<std::int32_t> lengths(300);
    std::vector<std::int64_t> starts(300);  // rows in reverse order, one free place between them
    std::int64_t size = 0;
    for (std::size_t u = 300; u-- > 0;) {
        lengths[u] = static_cast<std::int32_t>(u % 40);
        starts[u] = size;
        size += test.indptr[u + 1] - test.indptr[u] + 1;
    }
    for (const int threads : {1, 2, 7}) {
        std::vector<std::int32_t> out(static_cast<std::size_t>(size), -7);
        find_ranks({ids.data(), 300, 30, 30}, test.pattern(), lengths.data(), starts.data(), {out.data(), size},
                   threads);
        for (std::size_t u = 0; u < 300; ++u) {
            const auto* list = ids.data() + u * 30;
            const std::int64_t length = std::min(30, lengths[u]), wanted = test.indptr[u + 1] - test.indptr[u];
            for (std::int64_t e = 0; e < wanted; ++e) {
                const auto place = std::find(list, list + length, test.indices[test.indptr[u] + e]) - list;
                CHECK(out[starts[u] + e] == (place == length ? 0 : place + 1));
            }
            CHECK(out[starts[u] + wanted] == -7);
        }
    }
    std::vector<std::int32_t> short_by_one(static_cast<std::size_t>(size - 2));
    CHECK_THROWS(find_ranks({ids.data(), 300, 30, 30}, test.pattern(), lengths.data(), starts.data(),
                            {short_by_one.data(), size - 2}, 1),
                 std::invalid_argument);
}

TEST(wrong_shapes_are_refused) {
    const auto test = testing::random_csr(2, 3, 0.5, 9);
    CHECK_THROWS(metrics_of({0, 1}, test, {}, Definition::kPaper), std::invalid_argument);
    CHECK_THROWS(metrics_of({0, 1}, test, {0}, Definition::kPaper), std::invalid_argument);
    CHECK_THROWS(metrics_of({0, 1}, test, {4, 2}, Definition::kPaper), std::invalid_argument);
    const CsrView narrow = test.pattern();
    CHECK_THROWS(top_of(Dense(2, 4), 1, &narrow, 1), std::invalid_argument);
    CHECK_THROWS(top_of(Dense(3, 3), 1, &narrow, 1), std::invalid_argument);
}

int main() { return testing::run_all(); }
