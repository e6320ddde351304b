// Rows of a matrix in 8 bits, and a bound that no float32 dot product with a row exceeds.
//
// A row d is s q + e: a step, integers within 127 and a rest. A vector h is t c + r in the same way, and
//   h d = t s (c q) + r (s q) + h e <= t s (c q) + |r| |s q| + |h| |e|   (Cauchy and Schwarz).
// A dot product of k float32 products, summed in any order, is off by at most k u |h| |d|, u = 2^-24; with that, and
// the roundings of the bound itself, the factors of |s q| and |e| are alpha and beta of `Question`.
#pragma once

#include <cstdint>
#include <vector>

#include "fastautorec/simd.hpp"
#include "fastautorec/views.hpp"

namespace fastautorec {

inline constexpr std::int64_t kCodedTogether = 4;       // values of a row that lie side by side
inline constexpr std::int64_t kLongestCoded = 1 << 16;  // values of a row, so that sums fit in 32 bits

// `codes` (groups of 16 rows, 16 * width): the values 4 c..4 c + 3 of all rows of a group follow each other, each q +
// 128. `facts` (3, 16 * groups): s, |s q| and |e|, the norms rounded up. Rows beyond the last have zeros.
struct ItemCodes {
    MatrixView<const std::uint8_t> codes;
    ConstMatrix facts;
    std::int64_t width() const { return codes.cols / kLanes; }
};

std::int64_t coded_width(std::int64_t k);

// False where values are not finite, or so large that a bound could overflow.
bool encode_items(ConstMatrix rows, MatrixView<std::uint8_t> codes, Matrix facts, int num_threads);

// What bounds the products with one vector.
struct Question {
    Question(const float* vector, std::int64_t size, std::int64_t width);

    bool usable;  // false: not finite, or too large
    std::vector<std::int8_t> codes;
    std::int32_t offset;  // 128 times their sum
    float step, alpha, beta;
};

// bounds[i][j] >= the float32 dot product of vector i and row j for the rows of groups first..last, j from 0 on.
void bound_products(const Question* questions, std::int64_t count, const ItemCodes& items, std::int64_t first,
                    std::int64_t last, Matrix bounds);

}  // namespace fastautorec
