// What fails as soon as the bound, or the use of it, is tighter than its proof: mutants.cmake has kernels that are.
#include <cmath>
#include <numeric>

#include "check.hpp"
#include "coded.hpp"
#include "fastautorec/rank_ops.hpp"
#include "fastautorec/scan_items.hpp"

using namespace fastautorec;
using testing::bounds_of;
using testing::Coded;
using testing::Dense;
using testing::questions_of;

namespace {

using Exact = long double;
constexpr Kernel kKernels[] = {Kernel::kFastest, Kernel::kAvx2, Kernel::kPortable};
constexpr Exact kRounding = 0x1p-24L;

// What the codes of a vector make of it: step * codes, and the norms of that, of the rest and of the vector.
struct Parts {
    std::vector<int> codes;
    Exact coded = 0, rest = 0, norm = 0;
};

template <class CodeAt>
Parts parts_of(const float* values, std::int64_t k, float step, CodeAt code_at) {
    Parts parts;
    for (std::int64_t c = 0; c < k; ++c) {
        const int code = code_at(c);
        const Exact value = values[c], coded = static_cast<Exact>(step) * code;
        parts.codes.push_back(code);
        parts.coded += coded * coded;
        parts.rest += (value - coded) * (value - coded);
        parts.norm += value * value;
    }
    parts.coded = std::sqrt(parts.coded);
    parts.rest = std::sqrt(parts.rest);
    parts.norm = std::sqrt(parts.norm);
    return parts;
}

Parts row_parts(const Dense& b, std::int64_t j, const ItemCodes& items) {
    const std::int64_t place = items.place_of(j), lane = place % kLanes;
    const std::uint8_t* codes = items.codes.row(place / kLanes);
    return parts_of(b.view().row(j), b.cols, items.facts.row(0)[place],
                    [&](std::int64_t c) { return codes[(c / 4 * kLanes + lane) * 4 + c % 4] - 128; });
}

// Rows of small integers whose codes are themselves, so that bounds are products, to the bit. Later places have lower
// ids. Their norms are not told from one that is larger than all.
Coded forged(const Dense& b) {
    Coded coded(b);
    std::fill(coded.codes.begin(), coded.codes.end(), std::uint8_t{128});
    std::fill(coded.facts.data.begin(), coded.facts.data.end(), 0.0f);
    std::fill(coded.longest.begin(), coded.longest.end(), 1e9f);
    for (std::int64_t j = 0; j < b.rows; ++j) {
        const std::int64_t place = b.rows - 1 - j;
        coded.order[static_cast<std::size_t>(place)] = static_cast<std::int32_t>(j);
        coded.order[static_cast<std::size_t>(b.rows + j)] = static_cast<std::int32_t>(place);
        coded.facts.at(0, place) = 1.0f;
        std::uint8_t* codes = coded.codes.data() + place / kLanes * coded.width * kLanes;
        for (std::int64_t c = 0; c < b.cols; ++c)
            codes[(c / 4 * kLanes + place % kLanes) * 4 + c % 4] = static_cast<std::uint8_t>(128 + b.at(j, c));
    }
    return coded;
}

// Integers within `most`; the first of each row is `first`.
Dense integers(std::int64_t rows, std::int64_t k, int most, float first, unsigned seed) {
    std::mt19937 random(seed);
    Dense out(rows, k);
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t c = 0; c < k; ++c)
            out.at(i, c) =
                c == 0 ? first
                       : static_cast<float>(static_cast<int>(random() % static_cast<unsigned>(2 * most + 1)) - most);
    return out;
}

}  // namespace

TEST(a_bound_has_room_for_all_roundings) {
    std::int64_t too_low = 0;
    for (const std::int64_t k : {1, 2, 5, 16, 61, 300}) {
        for (const unsigned seed : {1u, 2u}) {
            const Dense a = testing::random_dense(24, k, seed), b = testing::random_dense(200, k, seed + 10);
            const Coded coded(b);
            const auto questions = questions_of(a, coded);
            const Exact sums = static_cast<Exact>(k) * kRounding / (1 - static_cast<Exact>(k) * kRounding);
            for (const Kernel kernel : kKernels) {
                const Dense bounds = bounds_of(questions, b, coded, kernel);
                for (std::int64_t i = 0; i < a.rows; ++i) {
                    const Question& question = questions[static_cast<std::size_t>(i)];
                    const Parts h = parts_of(a.view().row(i), k, question.step, [&](std::int64_t c) {
                        return int{question.codes[static_cast<std::size_t>(c)]};
                    });
                    for (std::int64_t j = 0; j < b.rows; ++j) {
                        const Parts d = row_parts(b, j, coded.view());
                        const int product = std::inner_product(h.codes.begin(), h.codes.end(), d.codes.begin(), 0);
                        const Exact step = coded.facts.at(0, coded.view().place_of(j));
                        const Exact needed = question.step * step * product + h.rest * d.coded + h.norm * d.rest +
                                             sums * h.norm * d.norm;
                        too_low += bounds.at(i, j) < needed;
                    }
                }
            }
        }
    }
    CHECK(too_low == 0);
}

TEST(a_bound_that_has_to_be_the_product_is) {
    const Dense a = integers(13, 40, 3, 127, 3), b = integers(150, 40, 5, 1, 4);
    const Coded coded = forged(b);
    std::int64_t too_low = 0, too_high = 0;
    for (const Kernel kernel : kKernels) {
        const Dense bounds = bounds_of(questions_of(a, coded), b, coded, kernel);
        for (std::int64_t i = 0; i < a.rows; ++i) {
            for (std::int64_t j = 0; j < b.rows; ++j) {
                const auto product =
                    std::inner_product(a.view().row(i), a.view().row(i) + a.cols, b.view().row(j), 0.0f);
                too_low += bounds.at(i, j) < product;
                too_high += bounds.at(i, j) > product + kTiny;
            }
        }
    }
    CHECK(too_low == 0);
    CHECK(too_high == 0);
}

TEST(a_scan_finds_items_whose_bounds_are_the_floor) {
    const Dense a = integers(13, 40, 1, 127, 5), b = integers(3000, 40, 1, 1, 6);
    const Coded coded = forged(b);
    const std::vector<std::int64_t> one_chain = {40};
    Dense products(a.rows, b.rows);
    for (std::int64_t i = 0; i < a.rows; ++i)
        for (std::int64_t j = 0; j < b.rows; ++j)
            products.at(i, j) = std::inner_product(a.view().row(i), a.view().row(i) + a.cols, b.view().row(j), 0.0f);
    for (const std::int64_t n_top : {1, 3, 10}) {
        std::vector<std::int32_t> wanted(static_cast<std::size_t>(a.rows * n_top), -1), ids(wanted);
        Dense best(a.rows, n_top);
        top_items(read_only(products.view()), nullptr, 0, {wanted.data(), a.rows, n_top, n_top}, best.view(), 1);
        for (const auto& borders : {std::vector<std::int64_t>{}, one_chain}) {
            const auto size = static_cast<std::int64_t>(borders.size());
            CHECK(scan_items(a.view(), b.view(), coded.view(), nullptr, {nullptr, 0}, {borders.data(), size},
                             {ids.data(), a.rows, n_top, n_top}, best.view(), 1));
            CHECK(ids == wanted);
        }
    }
}

TEST(a_scan_goes_on_where_the_longest_row_just_reaches_the_floor) {
    const Dense a = testing::random_dense(20, 30, 7), b = testing::random_dense(500, 30, 8);
    const Coded coded(b);
    std::int64_t too_early = 0, too_late = 0;
    for (const Question& question : questions_of(a, coded)) {
        for (std::int64_t group = 0; group < coded.groups; ++group) {
            const float floor = coded.longest[static_cast<std::size_t>(group)] * question.beta + kTiny;
            too_early += question.groups_from(floor, coded.view()) <= group;
            too_late += question.groups_from(std::nextafter(floor, 2 * floor), coded.view()) > group;
        }
    }
    CHECK(too_early == 0);
    CHECK(too_late == 0);
}

int main() { return testing::run_all(); }
