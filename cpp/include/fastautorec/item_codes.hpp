// Rows of a matrix in 8 bits, and a bound that no float32 dot product with a row exceeds.
//
// A row d is s q + e: a step, integers within 127 and a rest. A vector h is t c + r in the same way, and
//   h d = t s (c q) + r (s q) + h e <= t s (c q) + |r| |s q| + |h| |e|   (Cauchy and Schwarz).
// A dot product of k float32 products, summed in any order, is off by at most k u |h| |d|, u = 2^-24; with that, and
// the roundings of the bound itself, the factors of |s q| and |e| are alpha and beta of `Question`.
#pragma once

#include <cstdint>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/simd.hpp"
#include "fastautorec/views.hpp"

namespace fastautorec {

inline constexpr std::int64_t kCodedTogether = 4;       // values of a row that lie side by side
inline constexpr std::int64_t kLongestCoded = 1 << 16;  // values of a row, so that sums fit in 32 bits
inline constexpr float kTiny = 1e-35f;                  // more than all that underflows in a product or its bound

// Rows lie in descending order of their norms, as far as 16 bits tell these apart, so that a scan can end where all
// that is left is too short. `codes` (groups of 16 rows, 16 * width): the values 4 c..4 c + 3 of all rows of a group
// follow each other, each q + 128. `facts` (3, 16 * groups): s, |s q| and |e|, the norms rounded up. Places beyond the
// last row have zeros. `longest` (groups): no row of a group or of a later one has a larger norm. `order` (2, n): the
// row at each place, and the place of each row.
template <class Byte, class Float, class Int>
struct ItemCodesOf {
    MatrixView<Byte> codes;
    MatrixView<Float> facts;
    VectorView<Float> longest;
    MatrixView<Int> order;

    std::int64_t groups() const { return codes.rows; }
    std::int64_t width() const { return codes.cols / kLanes; }
    std::int64_t rows() const { return order.cols; }
    std::int64_t row_at(std::int64_t place) const { return order.row(0)[place]; }
    std::int64_t place_of(std::int64_t row) const { return order.row(1)[row]; }
};
using ItemCodes = ItemCodesOf<const std::uint8_t, const float, const std::int32_t>;
using NewItemCodes = ItemCodesOf<std::uint8_t, float, std::int32_t>;

std::int64_t coded_width(std::int64_t k);

// Throws where the arrays have not the shapes for (n, k) rows.
template <class Codes>
void require_codes_of(const Codes& items, std::int64_t n, std::int64_t k) {
    const std::int64_t groups = (n + kLanes - 1) / kLanes;
    require(items.codes.rows == groups && items.codes.cols == coded_width(k) * kLanes && items.facts.rows == 3 &&
                items.facts.cols == groups * kLanes && items.longest.size == groups && items.order.rows == 2 &&
                items.order.cols == n,
            "the codes have not the shapes for these rows");
}

// False where values are not finite, or so large that a bound could overflow.
bool encode_items(ConstMatrix rows, const NewItemCodes& out, int num_threads);

// What bounds the products with one vector.
struct Question {
    Question(const float* vector, std::int64_t size, std::int64_t width);

    // How many groups have rows whose products may reach the floor, by their norms.
    std::int64_t groups_from(float floor, const ItemCodes& items) const;

    bool usable;  // false: not finite, or too large
    std::vector<std::int8_t> codes;
    std::int32_t offset;  // 128 times their sum
    float step, alpha, beta;
};

// Where the bounds of a question go.
struct Bounds {
    const Question* question;
    float* of;  // place
};

// What is asked for where the processor has it: VNNI, else AVX2, else loops. All have the same sums of integers.
enum class Kernel { kFastest, kAvx2, kPortable };

const char* code_kernel();  // "vnni", "avx2" or "portable": the fastest that this processor has

// of[place] >= the float32 dot product of the vector and the row at that place, for those of groups first..last.
void bound_products(const Bounds* asked, std::int64_t count, const ItemCodes& items, std::int64_t first,
                    std::int64_t last, Kernel kernel = Kernel::kFastest);

}  // namespace fastautorec
