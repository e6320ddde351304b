#include "fastautorec/sparse_ops.hpp"

#include <algorithm>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/philox.h"
#include "fastautorec/scalar_math.h"
#include "fastautorec/simd.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kPanel = 2 * kLanes;   // 32 columns: rows of 128 bytes, two independent sums
constexpr std::int64_t kChunkNnz = 1 << 18;   // entries between two looks at the interrupt flag
constexpr std::int64_t kRowsPerTask = 1024;   // of encode, whose rows are independent

// Columns [first, first + width) of a row-major matrix, packed into rows of kPanel floats padded with zeros.
class Panel {
   public:
    Panel(std::int64_t rows, std::int64_t first, std::int64_t width)
        : rows_(rows), first_(first), width_(width), data_(static_cast<std::size_t>(rows * kPanel)) {}

    void load(ConstMatrix source) {
        for (std::int64_t i = 0; i < rows_; ++i) std::copy_n(source.row(i) + first_, width_, row(i));
    }
    void store(Matrix target) const {
        for (std::int64_t i = 0; i < rows_; ++i) std::copy_n(row(i), width_, target.row(i) + first_);
    }
    float* row(std::int64_t i) { return data_.data() + i * kPanel; }
    const float* row(std::int64_t i) const { return data_.data() + i * kPanel; }

   private:
    std::int64_t rows_, first_, width_;
    std::vector<float> data_;
};

// Calls body(first_row, end_row) for runs of rows of about kChunkNnz entries, looking out for interrupts in between.
template <class Body>
void for_row_chunks(const CsrView& x, const Body& body) {
    for (std::int64_t start = 0; start < x.n_rows;) {
        const auto* end = std::upper_bound(x.indptr + start + 1, x.indptr + x.n_rows + 1, x.indptr[start] + kChunkNnz);
        const std::int64_t stop = std::max<std::int64_t>(start + 1, end - x.indptr - 1);
        poll_interrupt();
        body(start, stop);
        start = stop;
    }
}

std::int64_t panel_count(std::int64_t cols) { return (cols + kPanel - 1) / kPanel; }

FASTAUTOREC_INLINE void gather_row(const CsrView& x, std::int64_t u, const float* block, std::int64_t stride, Vec& lo,
                                   Vec& hi) {
    Vec lo2{}, hi2{};  // a second pair of sums hides the latency of the additions
    std::int64_t p = x.indptr[u];
    const std::int64_t end = x.indptr[u + 1];
    for (; p + 1 < end; p += 2) {
        const float* a = block + x.indices[p] * stride;
        const float* b = block + x.indices[p + 1] * stride;
        lo += x.value(p) * vec(a);
        hi += x.value(p) * vec(a + kLanes);
        lo2 += x.value(p + 1) * vec(b);
        hi2 += x.value(p + 1) * vec(b + kLanes);
    }
    if (p < end) {
        const float* a = block + x.indices[p] * stride;
        lo += x.value(p) * vec(a);
        hi += x.value(p) * vec(a + kLanes);
    }
    lo += lo2;
    hi += hi2;
}

FASTAUTOREC_INLINE void scatter_row(const CsrView& x, std::int64_t u, const Vec& lo, const Vec& hi, float* out) {
    for (std::int64_t p = x.indptr[u]; p < x.indptr[u + 1]; ++p) {
        float* z = out + x.indices[p] * kPanel;
        vec(z) += x.value(p) * lo;
        vec(z + kLanes) += x.value(p) * hi;
    }
}

FASTAUTOREC_CLONES void encode_rows(const CsrView& x, const float* weight, const float* bias, int activation,
                                    std::int64_t first, std::int64_t width, std::int64_t start, std::int64_t stop,
                                    Matrix out) {
    for (std::int64_t u = start; u < stop; ++u) {
        float row[kPanel];
        Vec lo = vec(bias), hi = vec(bias + kLanes);
        gather_row(x, u, weight, kPanel, lo, hi);
        vec(row) = lo;
        vec(row + kLanes) = hi;
        float* target = out.row(u) + first;
        if (activation == kIdentity) {
            std::copy_n(row, width, target);
        } else {
            for (std::int64_t c = 0; c < width; ++c) target[c] = activate(row[c], activation);
        }
    }
}

FASTAUTOREC_CLONES void scatter_rows(const CsrView& x, ConstMatrix grad, std::int64_t first, std::int64_t width,
                                     std::int64_t start, std::int64_t stop, float* out) {
    for (std::int64_t u = start; u < stop; ++u) {
        float row[kPanel] = {};
        std::copy_n(grad.row(u) + first, width, row);
        scatter_row(x, u, vec(row), vec(row + kLanes), out);
    }
}

FASTAUTOREC_CLONES void gram_rows(const CsrView& x, const float* block, std::int64_t start, std::int64_t stop,
                                  float* out) {
    for (std::int64_t u = start; u < stop; ++u) {
        Vec lo{}, hi{};
        gather_row(x, u, block, kPanel, lo, hi);
        scatter_row(x, u, lo, hi, out);
    }
}

}  // namespace

void encode(const CsrView& x, ConstMatrix weight, const float* bias, int activation, Matrix out, int num_threads) {
    require(weight.rows == x.n_cols, "encode: weight must have one row for each item");
    require(out.rows == x.n_rows && out.cols == weight.cols, "encode: out must be (users, units)");
    const std::int64_t panels = panel_count(weight.cols);
    parallel_for(panels, num_threads, [&](std::int64_t t) {
        const std::int64_t first = t * kPanel, width = std::min(kPanel, weight.cols - first);
        Panel packed(weight.rows, first, width);
        packed.load(weight);
        float padded_bias[kPanel] = {};
        if (bias) std::copy_n(bias + first, width, padded_bias);
        for_row_chunks(x, [&](std::int64_t start, std::int64_t stop) {
            encode_rows(x, packed.row(0), padded_bias, activation, first, width, start, stop, out);
        });
    });
}

void encode_backward(const CsrView& x, ConstMatrix grad, Matrix out, int num_threads) {
    require(grad.rows == x.n_rows, "encode_backward: grad must have one row for each user");
    require(out.rows == x.n_cols && out.cols == grad.cols, "encode_backward: out must be (items, units)");
    parallel_for(panel_count(grad.cols), num_threads, [&](std::int64_t t) {
        const std::int64_t first = t * kPanel, width = std::min(kPanel, grad.cols - first);
        Panel sums(out.rows, first, width);
        sums.load({out.data, out.rows, out.cols, out.stride});
        for_row_chunks(x, [&](std::int64_t start, std::int64_t stop) {
            scatter_rows(x, grad, first, width, start, stop, sums.row(0));
        });
        sums.store(out);
    });
}

void gram_product(const CsrView& x, ConstMatrix block, Matrix out, int num_threads) {
    require(block.rows == x.n_cols, "gram_product: block must have one row for each item");
    require(out.rows == block.rows && out.cols == block.cols, "gram_product: out must have the shape of block");
    parallel_for(panel_count(block.cols), num_threads, [&](std::int64_t t) {
        const std::int64_t first = t * kPanel, width = std::min(kPanel, block.cols - first);
        Panel packed(block.rows, first, width), sums(block.rows, first, width);
        packed.load(block);
        for_row_chunks(x, [&](std::int64_t start, std::int64_t stop) {
            gram_rows(x, packed.row(0), start, stop, sums.row(0));
        });
        sums.store(out);
    });
}

void drop_entries(const CsrView& x, float rate, std::uint64_t seed, std::uint32_t epoch, std::int64_t first_row,
                  float* values, int num_threads) {
    const float kept = 1.0f / (1.0f - rate);
    // A word w stands for the uniform number w / 2^32; as integers the comparison is exact on every device.
    const auto threshold = static_cast<std::uint64_t>(static_cast<double>(rate) * 4294967296.0);
    const std::int64_t tasks = (x.n_rows + kRowsPerTask - 1) / kRowsPerTask;
    const std::int64_t offset = x.indptr[0];
    parallel_for(tasks, num_threads, [&](std::int64_t t) {
        const std::int64_t stop = std::min(x.n_rows, (t + 1) * kRowsPerTask);
        for (std::int64_t u = t * kRowsPerTask; u < stop; ++u) {
            const auto user = static_cast<unsigned long long>(first_row + u);
            for (std::int64_t p = x.indptr[u]; p < x.indptr[u + 1]; p += 4) {
                const auto block = static_cast<unsigned int>((p - x.indptr[u]) / 4);
                const Philox4x32 bits = philox_of_user(seed, epoch, user, block);
                for (std::int64_t e = p; e < std::min(p + 4, x.indptr[u + 1]); ++e) {
                    values[e - offset] = bits.word[e - p] < threshold ? 0.0f : x.value(e) * kept;
                }
            }
        }
    });
}

}  // namespace fastautorec
