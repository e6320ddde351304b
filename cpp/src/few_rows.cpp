#include <algorithm>
#include <cstdint>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/dense_ops.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/row_math.hpp"
#include "fastautorec/simd.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kRowsPerTask = 512;  // of b
constexpr std::int64_t kStep = 2 * kLanes;  // values of a row at a time, in two sums
constexpr std::int64_t kListedAhead = 4;    // rows from a product to the prefetch of its row
constexpr std::int64_t kAhead = 4096;  // values from a read to its prefetch: a third faster than the processor's own

// The rows of a, and what the last vector of a row of b is multiplied by where it
// overlaps the one before: zeros for the values that have been there already. So no loop goes over single values.
class Left {
   public:
    explicit Left(ConstMatrix a) : rows_(a), tails_(static_cast<std::size_t>(a.rows * kLanes)) {
        const std::int64_t rest = a.cols % kLanes;
        if (a.cols < kLanes) return;
        for (std::int64_t i = 0; i < a.rows; ++i)
            std::copy_n(a.row(i) + a.cols - rest, rest, tails_.data() + (i + 1) * kLanes - rest);
    }
    std::int64_t rows() const { return rows_.rows; }
    std::int64_t size() const { return rows_.cols; }
    const float* row(std::int64_t i) const { return rows_.row(i); }
    const float* tail(std::int64_t i) const { return tails_.data() + i * kLanes; }

   private:
    ConstMatrix rows_;
    std::vector<float> tails_;
};

// out.row(first + i)[column] = <a_(first + i), b>. How a product is summed up does not depend on kRows.
template <int kRows>
FASTAUTOREC_INLINE void dots(const Left& a, std::int64_t first, const float* b, Matrix out, std::int64_t column) {
    const std::int64_t size = a.size();
    const float* rows[kRows];
    Vec even[kRows], odd[kRows];
    for (int i = 0; i < kRows; ++i) {
        rows[i] = a.row(first + i);
        even[i] = odd[i] = Vec{};
    }
    std::int64_t c = 0;
    for (; c + kStep <= size; c += kStep) {
        __builtin_prefetch(b + c + kAhead);
        __builtin_prefetch(b + c + kAhead + kLanes);
        const Vec low = vec(b + c), high = vec(b + c + kLanes);
        for (int i = 0; i < kRows; ++i) {
            even[i] += low * vec(rows[i] + c);
            odd[i] += high * vec(rows[i] + c + kLanes);
        }
    }
    if (c + kLanes <= size) {
        const Vec low = vec(b + c);
        for (int i = 0; i < kRows; ++i) even[i] += low * vec(rows[i] + c);
        c += kLanes;
    }
    if (c < size) {
        const Vec last = vec(b + size - kLanes);
        for (int i = 0; i < kRows; ++i) odd[i] += last * vec(a.tail(first + i));
    }
    for (int i = 0; i < kRows; ++i) out.row(first + i)[column] = sum_of(even[i] + odd[i]);
}

FASTAUTOREC_CLONES void multiply_rows(const Left& a, ConstMatrix b, std::int64_t start, std::int64_t stop, Matrix out) {
    for (std::int64_t j = start; j < stop; ++j) {
        std::int64_t i = 0;
        if (a.size() < kLanes) {
            for (; i < a.rows(); ++i) out.row(i)[j] = dot(a.row(i), b.row(j), a.size());
            continue;
        }
        for (; i + 4 <= a.rows(); i += 4) dots<4>(a, i, b.row(j), out, j);
        for (; i + 2 <= a.rows(); i += 2) dots<2>(a, i, b.row(j), out, j);
        if (i < a.rows()) dots<1>(a, i, b.row(j), out, j);
    }
}

FASTAUTOREC_CLONES void multiply_listed(const Left& a, ConstMatrix b, const std::int32_t* listed, std::int64_t count,
                                        float* out) {
    for (std::int64_t j = 0; j < count; ++j) {
        if (j + kListedAhead < count) fetch(b.row(listed[j + kListedAhead]), a.size());
        if (a.size() < kLanes)
            out[j] = dot(a.row(0), b.row(listed[j]), a.size());
        else
            dots<1>(a, 0, b.row(listed[j]), {out, 1, count, count}, j);
    }
}

}  // namespace

void multiply_listed_rows(const float* a, ConstMatrix b, const std::int32_t* listed, std::int64_t count, float* out) {
    multiply_listed(Left({a, 1, b.cols, b.cols}), b, listed, count, out);
}

void multiply_few_rows(ConstMatrix a, ConstMatrix b, Matrix out, int num_threads) {
    require(a.cols == b.cols && out.rows == a.rows && out.cols == b.rows, "multiply_few_rows: shapes do not match");
    const Left left(a);
    parallel_for((b.rows + kRowsPerTask - 1) / kRowsPerTask, num_threads, [&](std::int64_t t) {
        multiply_rows(left, b, t * kRowsPerTask, std::min(b.rows, (t + 1) * kRowsPerTask), out);
    });
}

}  // namespace fastautorec
