// Rows with their codes, and bounds of products with them, for tests.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "fastautorec/item_codes.hpp"
#include "matrices.hpp"

namespace testing {

using namespace fastautorec;

struct Coded {
    std::int64_t groups, width;
    std::vector<std::uint8_t> codes;
    Dense facts;
    std::vector<float> longest;
    std::vector<std::int32_t> order;
    bool usable;

    explicit Coded(const Dense& rows, int threads = 1)
        : groups((rows.rows + kLanes - 1) / kLanes),
          width(coded_width(rows.cols)),
          codes(static_cast<std::size_t>(groups * width * kLanes)),
          facts(3, groups * kLanes),
          longest(static_cast<std::size_t>(groups)),
          order(static_cast<std::size_t>(2 * rows.rows)),
          usable(encode_items(rows.view(), parts<NewItemCodes>(*this), threads)) {}

    ItemCodes view() const { return parts<ItemCodes>(*this); }

   private:
    template <class Codes, class Of>
    static Codes parts(Of& of) {
        const std::int64_t n = static_cast<std::int64_t>(of.order.size()) / 2;
        return {{of.codes.data(), of.groups, of.width * kLanes, of.width * kLanes},
                of.facts.view(),
                {of.longest.data(), of.groups},
                {of.order.data(), 2, n, n}};
    }
};

// Values whose products and sums need rounding, and that have exact codes: every row is a power of two times integers.
inline Dense whole_numbers(std::int64_t rows, std::int64_t k, unsigned seed) {
    std::mt19937 random(seed);
    Dense out(rows, k);
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t c = 0; c < k; ++c)
            out.at(i, c) = static_cast<float>(static_cast<int>(random() % 255) - 127) * 0.3f;
    return out;
}

inline std::vector<Question> questions_of(const Dense& a, const Coded& coded) {
    std::vector<Question> questions;
    for (std::int64_t i = 0; i < a.rows; ++i) questions.emplace_back(a.view().row(i), a.cols, coded.width);
    return questions;
}

// Of the products of each row of a and of b, in the order of b.
inline Dense bounds_of(const std::vector<Question>& questions, const Dense& b, const Coded& coded,
                       Kernel kernel = Kernel::kFastest) {
    const auto q = static_cast<std::int64_t>(questions.size());
    Dense placed(q, coded.groups * kLanes), bounds(q, b.rows);
    std::vector<Bounds> asked;
    for (std::int64_t i = 0; i < q; ++i)
        asked.push_back({&questions[static_cast<std::size_t>(i)], placed.view().row(i)});
    bound_products(asked.data(), q, coded.view(), 0, coded.groups, kernel);
    for (std::int64_t i = 0; i < q; ++i)
        for (std::int64_t j = 0; j < b.rows; ++j) bounds.at(i, j) = placed.at(i, coded.view().place_of(j));
    return bounds;
}

}  // namespace testing
