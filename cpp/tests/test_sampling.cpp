#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "fastautorec/philox.h"
#include "fastautorec/sampling.h"
#include "fastautorec/sampling_ops.hpp"
#include "matrices.hpp"

using namespace fastautorec;

namespace {

// The tables that Python makes, in simple loops.
struct Tables {
    std::int64_t n_samples;
    std::vector<std::uint64_t> cdf;
    std::vector<std::int32_t> guide, table, table_guide;
    std::vector<std::uint32_t> last;
    std::vector<std::int64_t> base;

    Tables(const std::vector<double>& weights, std::int64_t samples, double rho = -1) : n_samples(samples) {
        double sum = 0, total = 0;
        for (const double w : weights) total += w;
        for (const double w : weights) {
            sum += w;
            cdf.push_back(static_cast<std::uint64_t>(std::ldexp(sum / total, kTotalBits)));
        }
        for (std::uint64_t part = 0; part < 16; ++part)
            guide.push_back(static_cast<std::int32_t>(above(part << (kTotalBits - 4))));
        for (std::size_t j = 0; rho >= 0 && j < weights.size(); ++j) add_counts(j, rho * weights[j] / total);
    }

    std::int64_t above(std::uint64_t place) const {
        return std::upper_bound(cdf.begin(), cdf.end(), place) - cdf.begin();
    }

    void add_counts(std::size_t j, double rate) {
        table.push_back(static_cast<std::int32_t>(j));
        base.push_back(static_cast<std::int64_t>(last.size()));
        double p = std::exp(-rate), below = p;
        for (int k = 0; below * 4294967296.0 < 4294967295.0; below += p)
            last.push_back(static_cast<std::uint32_t>(below * 4294967296.0)), p *= rate / ++k;
        last.push_back(0xffffffffu);
        for (std::uint32_t b = 0; b < kBuckets; ++b) table_guide.push_back(count(j, b << 27));
    }

    std::int32_t count(std::size_t j, std::uint32_t word) const {
        std::int32_t k = 0;
        while (last[static_cast<std::size_t>(base[j] + k)] < word) ++k;
        return k;
    }

    SamplerView view() const {
        const auto tables = static_cast<std::int64_t>(base.size());
        return {n_samples,
                {cdf.data(), static_cast<std::int64_t>(cdf.size())},
                {guide.data(), static_cast<std::int64_t>(guide.size())},
                {table.data(), static_cast<std::int64_t>(table.size())},
                {last.data(), static_cast<std::int64_t>(last.size())},
                {base.data(), tables},
                {table_guide.data(), tables, kBuckets, kBuckets}};
    }
};

struct Rows {
    std::vector<std::int64_t> indptr;
    std::vector<std::int32_t> ids, counts;

    bool operator==(const Rows& other) const {
        return indptr == other.indptr && ids == other.ids && counts == other.counts;
    }
};

Rows draw(const Tables& tables, const std::vector<std::int64_t>& users, const CsrView* exclude, std::uint64_t seed,
          std::uint32_t epoch, int threads) {
    const auto b = static_cast<std::int64_t>(users.size());
    const std::int64_t room = b * std::min(tables.n_samples, static_cast<std::int64_t>(tables.cdf.size()));
    Rows rows;
    rows.indptr.resize(users.size() + 1);
    rows.ids.resize(static_cast<std::size_t>(room));
    rows.counts.resize(rows.ids.size());
    const auto nnz = static_cast<std::size_t>(sample_negatives(tables.view(), {users.data(), b}, exclude, seed, epoch,
                                                               rows.indptr.data(), {rows.ids.data(), room},
                                                               {rows.counts.data(), room}, threads));
    rows.ids.resize(nnz);
    rows.counts.resize(nnz);
    return rows;
}

// The counts of one user by the text of the specification.
std::vector<std::int64_t> expected(const Tables& tables, std::uint64_t user, const std::vector<std::int32_t>& unwanted,
                                   std::uint64_t seed, std::uint32_t epoch) {
    const std::size_t n = tables.cdf.size();
    std::vector<std::int64_t> counts(n);
    std::int64_t missing = tables.n_samples;
    for (std::uint32_t attempt = 0; !tables.table.empty();) {
        missing = tables.n_samples;
        for (std::size_t j = 0; j < n; ++j) {
            const auto block = static_cast<std::uint32_t>(kCountBlocks + attempt * ((n + 3) / 4) + j / 4);
            const bool out = std::count(unwanted.begin(), unwanted.end(), static_cast<std::int32_t>(j)) > 0;
            counts[j] = out ? 0 : tables.count(j, philox_of_user(seed, epoch, user, block).word[j % 4]);
            missing -= counts[j];
        }
        ++attempt;
        if (missing >= 0) break;
    }
    for (std::int64_t t = 0; t < missing; ++t) {
        const auto block = philox_of_user(seed, epoch, user, static_cast<std::uint32_t>(t / 2));
        const std::uint64_t bits = block.word[t % 2 * 2] | std::uint64_t{block.word[t % 2 * 2 + 1]} << 32;
        std::uint64_t total = std::uint64_t{1} << kTotalBits;
        for (const std::int32_t j : unwanted) total -= tables.cdf[j] - (j ? tables.cdf[j - 1] : 0);
        std::uint64_t place = high_product(bits, total);
        for (const std::int32_t j : unwanted)  // ascending: the line grows back from the left
            if ((j ? tables.cdf[j - 1] : 0) <= place) place += tables.cdf[j] - (j ? tables.cdf[j - 1] : 0);
        ++counts[static_cast<std::size_t>(tables.above(place))];
    }
    return counts;
}

std::vector<std::int64_t> row_of(const Rows& rows, std::size_t i, std::size_t n_items) {
    std::vector<std::int64_t> counts(n_items);
    for (std::int64_t e = rows.indptr[i]; e < rows.indptr[i + 1]; ++e) counts[rows.ids[e]] += rows.counts[e];
    return counts;
}

const std::vector<double> kWeights = {0, 1, 5, 0, 2, 0.5, 9, 0, 3, 3, 0};
const std::vector<std::int64_t> kUsers = {4, 0, std::int64_t{1} << 40, 7};

}  // namespace

TEST(high_products) {
    CHECK(high_product(~0ull, 1ull << 63) == (~0ull >> 1));
    CHECK(high_product(0, ~0ull) == 0);
    CHECK(high_product(0x123456789abcdef0ull, 0xfedcba9876543210ull) == 0x121fa00ad77d7422ull);
}

TEST(draws_follow_the_specification) {
    testing::Csr out;  // of less and of more than half of p
    out.n_rows = 4;
    out.n_cols = 11;
    out.indptr = {0, 0, 2, 8, 11};
    out.indices = {1, 4, 1, 2, 4, 5, 6, 7, 0, 6, 10};
    out.values.assign(out.indices.size(), 1.0f);
    const CsrView exclude = out.view();
    for (const double rho : {-1.0, 40.0, 100.0}) {
        for (const std::int64_t n_samples : {1, 100, 1001}) {
            const Tables tables(kWeights, n_samples, rho < 0 ? rho : rho * static_cast<double>(n_samples) / 100);
            for (const CsrView* view : {static_cast<const CsrView*>(nullptr), &exclude}) {
                const Rows rows = draw(tables, kUsers, view, 0x9876543210fedcbaull, 3, 2);
                for (std::size_t i = 0; i < kUsers.size(); ++i) {
                    std::vector<std::int32_t> unwanted;
                    if (view)
                        unwanted.assign(out.indices.begin() + out.indptr[i], out.indices.begin() + out.indptr[i + 1]);
                    const auto user = static_cast<std::uint64_t>(kUsers[i]);
                    CHECK(row_of(rows, i, 11) == expected(tables, user, unwanted, 0x9876543210fedcbaull, 3));
                    CHECK(std::is_sorted(rows.ids.begin() + rows.indptr[i], rows.ids.begin() + rows.indptr[i + 1]));
                }
                CHECK(std::all_of(rows.counts.begin(), rows.counts.end(), [](std::int32_t c) { return c > 0; }));
            }
        }
    }
}

TEST(every_way_of_collecting_draws_gives_the_same) {  // few draws of many items are sorted, others counted
    const std::vector<double> weights(9000, 1.0);
    for (const std::int64_t n_samples : {1, 20, 40, 5000}) {
        const Tables tables(weights, n_samples);
        const Rows rows = draw(tables, {3, 8}, nullptr, 1, 2, 1);
        CHECK(row_of(rows, 0, 9000) == expected(tables, 3, {}, 1, 2));
        CHECK(row_of(rows, 1, 9000) == expected(tables, 8, {}, 1, 2));
    }
}

TEST(same_bits_for_any_number_of_threads) {
    std::vector<std::int64_t> users(3000);
    for (std::size_t i = 0; i < users.size(); ++i) users[i] = static_cast<std::int64_t>(7 * i % 3001);
    const std::vector<double> many(2000, 2.0);
    for (const Tables& tables :
         {Tables(kWeights, 600), Tables(kWeights, 600, 550), Tables(many, 5), Tables(many, 700)}) {
        const Rows one = draw(tables, users, nullptr, 5, 6, 1);
        for (const int threads : {2, 7}) CHECK(draw(tables, users, nullptr, 5, 6, threads) == one);
    }
    CHECK(draw(Tables(kWeights, 5), {}, nullptr, 0, 0, 2).indptr == std::vector<std::int64_t>{0});
}

TEST(wrong_arguments_are_refused) {
    const Tables tables(kWeights, 5);
    std::int64_t indptr[2];
    std::int32_t ids[5], counts[5];
    const std::int64_t user = 0;
    const auto run = [&](const SamplerView& view, const CsrView* exclude, std::int64_t room) {
        sample_negatives(view, {&user, 1}, exclude, 1, 1, indptr, {ids, room}, {counts, room}, 1);
    };
    SamplerView no_end = tables.view(), no_samples = tables.view(), odd = tables.view();
    no_end.cdf.size = 3;
    no_samples.n_samples = 0;
    odd.guide.size = 15;
    CHECK_THROWS(run(no_end, nullptr, 5), std::invalid_argument);
    CHECK_THROWS(run(no_samples, nullptr, 5), std::invalid_argument);
    CHECK_THROWS(run(odd, nullptr, 5), std::invalid_argument);
    CHECK_THROWS(run(tables.view(), nullptr, 0), std::invalid_argument);
    const testing::Csr other = testing::random_csr(2, 11, 0.5, 1);
    const CsrView wrong = other.view();
    CHECK_THROWS(run(tables.view(), &wrong, 5), std::invalid_argument);
    testing::Csr all;
    all.n_rows = 1;
    all.n_cols = 11;
    all.indptr = {0, 11};
    for (std::int32_t j = 0; j < 11; ++j) all.indices.push_back(j);
    all.values.assign(11, 1.0f);
    const CsrView everything = all.view();
    CHECK_THROWS(run(tables.view(), &everything, 5), std::invalid_argument);
}

int main() { return testing::run_all(); }
