#include <cmath>
#include <limits>

#include "check.hpp"
#include "fastautorec/nce_ops.hpp"
#include "matrices.hpp"

using fastautorec::count_items;
using fastautorec::nce_transform;

namespace {

std::vector<std::int64_t> counts_of(const testing::CsrView& x, int num_threads) {
    std::vector<std::int64_t> counts(static_cast<std::size_t>(x.n_cols), -1);
    count_items(x, counts.data(), num_threads);
    return counts;
}

std::vector<float> targets_of(const testing::CsrView& x, double beta, bool per_interaction, int num_threads) {
    std::vector<float> values(static_cast<std::size_t>(x.nnz()));
    nce_transform(x, beta, per_interaction, values.data(), num_threads);
    return values;
}

}  // namespace

TEST(ids_of_no_item) {
    auto x = testing::random_csr(3000, 90, 0.7, 1);
    std::vector<std::int64_t> counts(90);
    const auto last = static_cast<std::int64_t>(x.indices.size()) - 1;
    for (const std::int64_t place : {std::int64_t{0}, std::int64_t{4095}, std::int64_t{4096}, last / 2, last}) {
        for (const std::int32_t wrong :
             {90, -1, std::numeric_limits<std::int32_t>::max(), std::numeric_limits<std::int32_t>::min()}) {
            std::int32_t& id = x.indices[static_cast<std::size_t>(place)];
            const std::int32_t before = id;
            id = wrong;
            for (const int threads : {1, 2, 7}) CHECK(count_items(x.pattern(), counts.data(), threads) == place);
            id = before;
        }
    }
    CHECK(count_items(x.pattern(), counts.data(), 2) == -1);
}

TEST(counts) {
    const auto x = testing::random_csr(3000, 90, 0.7, 1);  // more entries than one task takes
    std::vector<std::int64_t> expected(90);
    for (const std::int32_t j : x.indices) ++expected[static_cast<std::size_t>(j)];
    for (const int threads : {1, 2, 7}) CHECK(counts_of(x.pattern(), threads) == expected);
}

TEST(counts_of_a_row_slice) {
    const auto x = testing::random_csr(30, 9, 0.5, 2);
    std::vector<std::int64_t> expected(9);
    for (std::int64_t p = x.indptr[10]; p < x.indptr[25]; ++p) {
        ++expected[static_cast<std::size_t>(x.indices[static_cast<std::size_t>(p)])];
    }
    CHECK(counts_of(x.rows(10, 25), 2) == expected);
}

TEST(targets_follow_equation_16) {
    const auto x = testing::random_csr(3000, 90, 0.7, 3);
    const auto counts = counts_of(x.pattern(), 1);
    for (const bool per_interaction : {false, true}) {
        const double total = per_interaction ? static_cast<double>(x.indices.size()) : 3000.0;
        const auto values = targets_of(x.pattern(), 0.8, per_interaction, 1);
        bool good = true;
        for (std::size_t p = 0; p < values.size(); ++p) {
            const auto pop = static_cast<double>(counts[static_cast<std::size_t>(x.indices[p])]);
            good &= testing::close(values[p], std::fmax(std::log(total) - 0.8 * std::log(pop), 0.0), 1e-6);
        }
        CHECK(good);
        for (const int threads : {2, 7}) CHECK(targets_of(x.pattern(), 0.8, per_interaction, threads) == values);
    }
}

TEST(empty_matrices) {
    testing::Csr x;
    CHECK(counts_of(x.pattern(), 2).empty());
    CHECK(targets_of(x.pattern(), 1, true, 2).empty());
    x.n_rows = 2;
    x.n_cols = 3;
    x.indptr = {0, 0, 0};
    CHECK(counts_of(x.pattern(), 2) == std::vector<std::int64_t>(3));
    CHECK(targets_of(x.pattern(), 1, true, 2).empty());
}

int main() { return testing::run_all(); }
