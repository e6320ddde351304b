#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "check.hpp"
#include "coded.hpp"
#include "fastautorec/dense_ops.hpp"
#include "fastautorec/rank_ops.hpp"
#include "fastautorec/scan_items.hpp"

using namespace fastautorec;
using testing::bounds_of;
using testing::Coded;
using testing::Dense;
using testing::questions_of;
using testing::whole_numbers;

namespace {

std::int64_t products_above(const std::vector<Question>& questions, const Dense& a, const Dense& b, const Coded& coded,
                            Kernel kernel = Kernel::kFastest) {
    const Dense bounds = bounds_of(questions, b, coded, kernel);
    Dense products(a.rows, b.rows);
    multiply_few_rows(a.view(), b.view(), products.view(), 1);
    std::int64_t above = 0;
    for (std::int64_t i = 0; i < a.rows; ++i)
        for (std::int64_t j = 0; j < b.rows; ++j) above += products.at(i, j) > bounds.at(i, j);
    return above;
}

}  // namespace

TEST(no_product_is_above_its_bound_and_some_would_be_without_room_for_roundings) {
    std::int64_t above = 0;
    for (const std::int64_t k : {1, 3, 16, 61, 300}) {
        for (const std::int64_t vectors : {1, 3, 4, 8, 13}) {
            for (const bool exact : {true, false}) {
                const Dense a = exact ? whole_numbers(vectors, k, 1) : testing::random_dense(vectors, k, 1);
                const Dense b = exact ? whole_numbers(147, k, 2) : testing::random_dense(147, k, 2);
                const Coded coded(b, 2);
                CHECK(coded.usable);
                auto questions = questions_of(a, coded);
                for (const Kernel kernel : {Kernel::kFastest, Kernel::kAvx2, Kernel::kPortable})
                    CHECK(products_above(questions, a, b, coded, kernel) == 0);
                if (!exact) continue;
                for (Question& question : questions) question.alpha = 0.0f;  // as if nothing were ever rounded
                above += products_above(questions, a, b, coded);
            }
        }
    }
    CHECK(above > 0);
}

TEST(a_scan_ends_after_all_rows_that_are_long_enough_and_would_end_too_early_without_room_for_roundings) {
    std::int64_t missed = 0;
    for (const std::int64_t k : {16, 61, 300}) {
        Dense spread = testing::random_dense(400, k, 12);
        for (std::int64_t j = 0; j < spread.rows; ++j)
            for (std::int64_t c = 0; c < k; ++c) spread.at(j, c) *= std::exp2(static_cast<float>(j * 7 % 40) / 8.0f);
        const Dense& b = spread;
        Coded coded(b);
        Dense products(b.rows, b.rows);  // of a row with itself, Cauchy and Schwarz are equal
        multiply_few_rows(b.view(), b.view(), products.view(), 1);
        auto questions = questions_of(b, coded);
        const auto too_early = [&] {
            std::int64_t count = 0;
            for (std::int64_t j = 0; j < b.rows; ++j)
                count += questions[static_cast<std::size_t>(j)].groups_from(products.at(j, j), coded.view()) <=
                         coded.view().place_of(j) / kLanes;
            return count;
        };
        CHECK(too_early() == 0);
        CHECK(questions[0].groups_from(1e3f * products.at(0, 0), coded.view()) < coded.groups);
        CHECK(questions[0].groups_from(-1.0f, coded.view()) == coded.groups);
        std::fill(coded.longest.begin(), coded.longest.end(), 0.0f);
        for (std::int64_t j = 0; j < b.rows; ++j) {
            double square = 0.0;
            for (std::int64_t c = 0; c < k; ++c) square += static_cast<double>(b.at(j, c)) * b.at(j, c);
            const auto norm = static_cast<float>(std::sqrt(square));
            questions[static_cast<std::size_t>(j)].beta = norm;
            for (std::int64_t g = 0; g <= coded.view().place_of(j) / kLanes; ++g) {
                float& longest = coded.longest[static_cast<std::size_t>(g)];
                longest = std::max(longest, norm);
            }
        }
        missed += too_early();
    }
    CHECK(missed > 0);
}

TEST(every_kernel_has_the_same_sums) {
    const Dense a = whole_numbers(9, 61, 13), b = whole_numbers(147, 61, 14);
    const Coded coded(b);
    auto questions = questions_of(a, coded);
    for (Question& question : questions) {  // the bound is the sum: no more than 2^24, so exact
        question.alpha = question.beta = 0.0f;
        question.step = 1.0f;
    }
    Coded plain(b);
    std::fill_n(plain.facts.data.begin(), plain.facts.cols, 1.0f);
    for (const Kernel kernel : {Kernel::kFastest, Kernel::kAvx2, Kernel::kPortable}) {
        const Dense bounds = bounds_of(questions, b, plain, kernel);
        for (std::int64_t i = 0; i < a.rows; ++i) {
            for (std::int64_t j = 0; j < b.rows; ++j) {
                std::int64_t sum = 0;
                const std::int64_t place = plain.view().place_of(j);
                for (std::int64_t c = 0; c < plain.width; ++c)
                    sum +=
                        questions[static_cast<std::size_t>(i)].codes[static_cast<std::size_t>(c)] *
                        (plain.view().codes.row(place / kLanes)[(c / 4 * kLanes + place % kLanes) * 4 + c % 4] - 128);
                CHECK(bounds.at(i, j) == static_cast<float>(sum) + kTiny);
            }
        }
    }
}

TEST(bounds_are_near_to_the_products) {
    const Dense a = testing::random_dense(9, 200, 3), b = testing::random_dense(500, 200, 4);
    const Coded coded(b);
    const Dense bounds = bounds_of(questions_of(a, coded), b, coded);
    Dense products(a.rows, b.rows);
    multiply_few_rows(a.view(), b.view(), products.view(), 1);
    for (std::int64_t i = 0; i < a.rows; ++i) {
        for (std::int64_t j = 0; j < b.rows; ++j) {
            double h = 0.0, d = 0.0;
            for (std::int64_t c = 0; c < a.cols; ++c) {
                h += static_cast<double>(a.at(i, c)) * a.at(i, c);
                d += static_cast<double>(b.at(j, c)) * b.at(j, c);
            }
            CHECK(bounds.at(i, j) < products.at(i, j) + 0.02 * std::sqrt(h * d));
        }
    }
}

TEST(scanned_lists_are_those_of_all_products) {
    const auto exclude = testing::random_csr(11, 1900, 0.1, 5);
    const CsrView hidden = exclude.pattern();
    Dense a = testing::random_dense(11, 50, 6);
    for (const std::int64_t zero : {4, 10}) std::fill_n(a.view().row(zero), a.cols, 0.0f);
    const Dense b = testing::random_dense(1900, 50, 7);
    const Coded coded(b);
    Dense products(11, 1900);
    multiply_few_rows(read_only(a.view()), b.view(), products.view(), 1);
    for (const std::int64_t n_top : {1, 10}) {
        const auto size = static_cast<std::size_t>(11 * n_top);
        std::vector<std::int32_t> wanted(size, -1), ids(size);
        Dense best(11, n_top), found(11, n_top);
        top_items(read_only(products.view()), &hidden, 0, {wanted.data(), 11, n_top, n_top}, best.view(), 1);
        for (const int threads : {1, 2, 7}) {
            CHECK(scan_items(read_only(a.view()), b.view(), coded.view(), &hidden, {nullptr, 0}, {nullptr, 0},
                             {ids.data(), 11, n_top, n_top}, found.view(), threads));
            CHECK(ids == wanted);
            CHECK(std::memcmp(found.data.data(), best.data.data(), found.data.size() * sizeof(float)) == 0);
        }
    }
}

TEST(chains_are_summed_in_order) {
    const Dense a = testing::random_dense(1, 37, 8), b = testing::random_dense(61, 37, 9);
    const std::vector<std::int64_t> borders = {10, 26, 37};
    std::vector<std::int32_t> listed = {19, 0, 7, 7, 3, 11, 2, 5, 1};
    for (std::int32_t j = 0; j < 61; ++j) listed.push_back(j);
    std::vector<float> out(listed.size());
    chain_products(a.view().row(0), b.view(), listed.data(), static_cast<std::int64_t>(listed.size()),
                   {borders.data(), 3}, out.data());
    for (std::size_t j = 0; j < listed.size(); ++j) {
        float total = 0.0f;
        std::int64_t first = 0;
        for (const std::int64_t border : borders) {
            float sum = 0.0f;
            for (; first < border; ++first) sum = std::fma(a.at(0, first), b.at(listed[j], first), sum);
            total = total + sum;
        }
        CHECK(out[j] == total);
    }
}

TEST(what_cannot_be_bounded_is_refused) {
    Dense b = testing::random_dense(40, 20, 10);
    b.at(17, 3) = std::numeric_limits<float>::quiet_NaN();
    CHECK(!Coded(b).usable);
    b.at(17, 3) = 1e20f;
    CHECK(!Coded(b, 2).usable);
    const Dense a = testing::random_dense(2, 21, 11);
    b.at(17, 3) = 0.0f;
    std::vector<std::int32_t> ids(4);
    Dense best(2, 2);
    CHECK_THROWS(scan_items(a.view(), read_only(b.view()), Coded(b).view(), nullptr, {nullptr, 0}, {nullptr, 0},
                            {ids.data(), 2, 2, 2}, best.view(), 1),
                 std::invalid_argument);
}

int main() { return testing::run_all(); }
