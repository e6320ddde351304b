#include "fastautorec/sparse_ops.hpp"

#include <algorithm>

#include "fastautorec/check.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/scalar_math.h"
#include "fastautorec/scratch.hpp"
#include "fastautorec/simd.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kPanel = 2 * kLanes;  // 32 columns: rows of 128 bytes, two independent sums
constexpr std::int64_t kChunkNnz = 1 << 18;  // entries between two looks at the interrupt flag
constexpr std::int64_t kPackedUses = 4;      // reads of each packed row that make packing worth its time

// One cache line after the other: a row that began elsewhere would touch a third line.
struct alignas(64) PanelRow {
    float value[kPanel];
};

FASTAUTOREC_INLINE void copy_panel(float factor, const float* from, float* to) {
    vec(to) = factor * vec(from);
    vec(to + kLanes) = factor * vec(from + kLanes);
}

FASTAUTOREC_INLINE float weight_of(const float* weights, std::int64_t i) { return weights ? weights[i] : 1.0f; }

// Columns [first, first + width) of a row-major matrix, packed into aligned rows padded with zeros. Undefined at first.
class Panel {
   public:
    Panel(std::int64_t rows, std::int64_t first, std::int64_t width)
        : first_(first), width_(width), size_(rows), memory_(rows * kPanel), rows_(memory_.as<PanelRow>()) {}

    void clear() { std::fill_n(rows_, size_, PanelRow{}); }
    // Row i is multiplied by weights[i] on its way, where there are weights.
    void load(ConstMatrix source, const float* weights = nullptr) {
        for (std::int64_t i = 0; i < size_; ++i) {
            const float* row = source.row(i) + first_;
            const float factor = weight_of(weights, i);
            if (width_ == kPanel) {
                copy_panel(factor, row, rows_[i].value);
            } else {
                for (std::int64_t c = 0; c < kPanel; ++c) rows_[i].value[c] = c < width_ ? factor * row[c] : 0.0f;
            }
        }
    }
    void store(Matrix target, const float* weights = nullptr) const {
        for (std::int64_t i = 0; i < size_; ++i) {
            float* row = target.row(i) + first_;
            const float factor = weight_of(weights, i);
            if (width_ == kPanel) {
                copy_panel(factor, rows_[i].value, row);
            } else {
                for (std::int64_t c = 0; c < width_; ++c) row[c] = factor * rows_[i].value[c];
            }
        }
    }
    PanelRow* data() { return rows_; }
    const PanelRow* data() const { return rows_; }

   private:
    std::int64_t first_, width_, size_;
    Scratch memory_;
    PanelRow* rows_;
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

// One stored row, its pointers held by value: they stay in registers while the loops below write to floats.
struct Row {
    const std::int32_t* ids;
    const float* values;  // null: every value is 1
    std::int64_t size;
};

FASTAUTOREC_INLINE Row row_of(const CsrView& x, std::int64_t u) {
    const std::int64_t start = x.indptr[u];
    return {x.indices + start, x.values ? x.values + start : nullptr, x.indptr[u + 1] - start};
}

// Where a product finds 32 columns of an item's row: packed, or in place for products too small to be worth packing.
template <bool wide>
struct Packed {
    static constexpr bool kWide = wide;  // false: a last panel of at most 16 columns, half the work
    const PanelRow* rows;
    FASTAUTOREC_INLINE const float* at(std::int32_t id, PanelRow&) const { return rows[id].value; }
};
struct InPlace {
    static constexpr bool kWide = true;
    const float* columns;  // of the first row
    std::int64_t stride;
    FASTAUTOREC_INLINE const float* at(std::int32_t id, PanelRow&) const { return columns + id * stride; }
};
struct InPlaceTail {  // the last columns: reading 32 of them would leave the row
    static constexpr bool kWide = true;
    const float* columns;
    std::int64_t stride, width;
    FASTAUTOREC_INLINE const float* at(std::int32_t id, PanelRow& buffer) const {
        for (std::int64_t c = 0; c < kPanel; ++c) buffer.value[c] = c < width ? columns[id * stride + c] : 0.0f;
        return buffer.value;
    }
};

template <bool kHasValues, class Block>
FASTAUTOREC_INLINE void add_rows(const Row row, const Block block, Vec& lo, Vec& hi) {
    Vec lo2{}, hi2{};  // a second pair of sums hides the latency of the additions
    PanelRow even, odd;
    std::int64_t e = 0;
    for (; e + 1 < row.size; e += 2) {
        const float* a = block.at(row.ids[e], even);
        const float* b = block.at(row.ids[e + 1], odd);
        const float u = kHasValues ? row.values[e] : 1.0f, v = kHasValues ? row.values[e + 1] : 1.0f;
        lo += u * vec(a);
        if constexpr (Block::kWide) hi += u * vec(a + kLanes);
        lo2 += v * vec(b);
        if constexpr (Block::kWide) hi2 += v * vec(b + kLanes);
    }
    if (e < row.size) {
        const float* a = block.at(row.ids[e], even);
        const float u = kHasValues ? row.values[e] : 1.0f;
        lo += u * vec(a);
        if constexpr (Block::kWide) hi += u * vec(a + kLanes);
    }
    lo += lo2;
    hi += hi2;
}

template <class Block>
FASTAUTOREC_INLINE void gather_row(const Row row, const Block block, Vec& lo, Vec& hi) {
    row.values ? add_rows<true>(row, block, lo, hi) : add_rows<false>(row, block, lo, hi);
}

template <bool kWide>
FASTAUTOREC_INLINE void scatter_row(const Row row, const Vec lo, const Vec hi, PanelRow* out) {
    for (std::int64_t e = 0; e < row.size; ++e) {
        float* z = out[row.ids[e]].value;
        const float v = row.values ? row.values[e] : 1.0f;
        vec(z) += v * lo;
        if constexpr (kWide) vec(z + kLanes) += v * hi;
    }
}

// The choice of the activation stays outside the loops, so that they compile to vector code.
FASTAUTOREC_INLINE void activate_all(const float* in, std::int64_t width, int activation, float* out) {
    switch (activation) {
        case kRelu:
            for (std::int64_t c = 0; c < width; ++c) out[c] = activate(in[c], kRelu);
            break;
        case kIdentity:
            std::copy_n(in, width, out);
            break;
        default:
            for (std::int64_t c = 0; c < width; ++c) out[c] = activate(in[c], activation);
    }
}

// out[0..width) = act(row block + bias)
template <class Block>
FASTAUTOREC_INLINE void encode_row(const Row row, const Block block, const PanelRow& bias, int activation,
                                   std::int64_t width, float* out) {
    PanelRow sums;
    Vec lo = vec(bias.value), hi = vec(bias.value + kLanes);
    gather_row(row, block, lo, hi);
    vec(sums.value) = lo;
    vec(sums.value + kLanes) = hi;
    activate_all(sums.value, width, activation, out);
}

FASTAUTOREC_CLONES void encode_rows(const CsrView& x, const PanelRow* weight, const PanelRow& bias, int activation,
                                    std::int64_t first, std::int64_t width, std::int64_t start, std::int64_t stop,
                                    Matrix out) {
    for (std::int64_t u = start; u < stop; ++u) {
        const Row row = row_of(x, u);
        float* target = out.row(u) + first;
        width > kLanes ? encode_row(row, Packed<true>{weight}, bias, activation, width, target)
                       : encode_row(row, Packed<false>{weight}, bias, activation, width, target);
    }
}

// All columns of one row, so that each row of the weights is read from end to end.
FASTAUTOREC_CLONES void encode_in_place(const CsrView& x, std::int64_t u, ConstMatrix weight, const float* bias,
                                        int activation, float* out) {
    for (std::int64_t first = 0; first < weight.cols; first += kPanel) {
        const std::int64_t width = std::min(kPanel, weight.cols - first);
        const float* columns = weight.data + first;
        PanelRow padded{};
        if (bias) std::copy_n(bias + first, width, padded.value);
        if (width == kPanel) {
            encode_row(row_of(x, u), InPlace{columns, weight.stride}, padded, activation, width, out + first);
        } else {
            const InPlaceTail tail{columns, weight.stride, width};
            encode_row(row_of(x, u), tail, padded, activation, width, out + first);
        }
    }
}

FASTAUTOREC_CLONES void scatter_rows(const CsrView& x, ConstMatrix grad, std::int64_t first, std::int64_t width,
                                     std::int64_t start, std::int64_t stop, PanelRow* out) {
    for (std::int64_t u = start; u < stop; ++u) {
        PanelRow row{};
        std::copy_n(grad.row(u) + first, width, row.value);
        const Vec lo = vec(row.value), hi = vec(row.value + kLanes);
        width > kLanes ? scatter_row<true>(row_of(x, u), lo, hi, out) : scatter_row<false>(row_of(x, u), lo, hi, out);
    }
}

template <bool kWide>
FASTAUTOREC_INLINE void gram_row(const Row row, float weight, const PanelRow* block, PanelRow* out) {
    Vec lo{}, hi{};
    gather_row(row, Packed<kWide>{block}, lo, hi);
    scatter_row<kWide>(row, weight * lo, weight * hi, out);
}

FASTAUTOREC_CLONES void gram_rows(const CsrView& x, const float* user_weights, const PanelRow* block,
                                  std::int64_t width, std::int64_t start, std::int64_t stop, PanelRow* out) {
    for (std::int64_t u = start; u < stop; ++u) {
        const float weight = weight_of(user_weights, u);
        width > kLanes ? gram_row<true>(row_of(x, u), weight, block, out)
                       : gram_row<false>(row_of(x, u), weight, block, out);
    }
}

}  // namespace

void encode(const CsrView& x, ConstMatrix weight, const float* bias, int activation, Matrix out, int num_threads) {
    require(weight.rows == x.n_cols, "encode: weight must have one row for each item");
    require(out.rows == x.n_rows && out.cols == weight.cols, "encode: out must be (users, units)");
    if (x.nnz() < kPackedUses * x.n_cols) {  // packing would cost more than the product
        parallel_for(x.n_rows, num_threads,
                     [&](std::int64_t u) { encode_in_place(x, u, weight, bias, activation, out.row(u)); });
        return;
    }
    parallel_for(panel_count(weight.cols), num_threads, [&](std::int64_t t) {
        const std::int64_t first = t * kPanel, width = std::min(kPanel, weight.cols - first);
        Panel packed(weight.rows, first, width);
        packed.load(weight);
        PanelRow padded_bias{};
        if (bias) std::copy_n(bias + first, width, padded_bias.value);
        for_row_chunks(x, [&](std::int64_t start, std::int64_t stop) {
            encode_rows(x, packed.data(), padded_bias, activation, first, width, start, stop, out);
        });
    });
}

void encode_backward(const CsrView& x, ConstMatrix grad, Matrix out, bool accumulate, int num_threads) {
    require(grad.rows == x.n_rows, "encode_backward: grad must have one row for each user");
    require(out.rows == x.n_cols && out.cols == grad.cols, "encode_backward: out must be (items, units)");
    parallel_for(panel_count(grad.cols), num_threads, [&](std::int64_t t) {
        const std::int64_t first = t * kPanel, width = std::min(kPanel, grad.cols - first);
        Panel sums(out.rows, first, width);
        accumulate ? sums.load(read_only(out)) : sums.clear();
        for_row_chunks(x, [&](std::int64_t start, std::int64_t stop) {
            scatter_rows(x, grad, first, width, start, stop, sums.data());
        });
        sums.store(out);
    });
}

void gram_product(const CsrView& x, const float* item_weights, const float* user_weights, ConstMatrix block, Matrix out,
                  int num_threads) {
    require(block.rows == x.n_cols, "gram_product: block must have one row for each item");
    require(out.rows == block.rows && out.cols == block.cols, "gram_product: out must have the shape of block");
    parallel_for(panel_count(block.cols), num_threads, [&](std::int64_t t) {
        const std::int64_t first = t * kPanel, width = std::min(kPanel, block.cols - first);
        Panel packed(block.rows, first, width), sums(block.rows, first, width);
        packed.load(block, item_weights);
        sums.clear();
        for_row_chunks(x, [&](std::int64_t start, std::int64_t stop) {
            gram_rows(x, user_weights, packed.data(), width, start, stop, sums.data());
        });
        sums.store(out, item_weights);
    });
}

}  // namespace fastautorec
