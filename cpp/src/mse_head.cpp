#include "fastautorec/head_ops.hpp"
#include "fastautorec/head_tiles.hpp"
#include "fastautorec/item_index.hpp"
#include "fastautorec/row_math.hpp"
#include "fastautorec/scalar_math.h"
#include "fastautorec/sparse_ops.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kGramRows = 256;   // rows of a matrix A in one part of A^T A, at least
constexpr std::int64_t kMirrorRows = 16;  // of A^T A in one task: their columns fill whole cache lines
constexpr std::int64_t kUserRows = 128;   // rows of H in one product with G

FASTAUTOREC_CLONES double inner_product(ConstMatrix a, ConstMatrix b) {
    double sum = 0;
    for (std::int64_t i = 0; i < a.rows; ++i) sum += static_cast<double>(dot(a.row(i), b.row(i), a.cols));
    return sum;
}

FASTAUTOREC_CLONES void add_to(const float* a, std::int64_t size, float* out) { add_scaled(1.0f, a, size, out); }

FASTAUTOREC_CLONES void add_rows(float factor, ConstMatrix a, Matrix out) {
    for (std::int64_t i = 0; i < a.rows; ++i) add_scaled(factor, a.row(i), a.cols, out.row(i));
}

// Turns the scores of items first..last, one row for each, into errors.
void subtract_target(const CsrView& target, std::int64_t first, std::int64_t last, Matrix scores) {
    for (std::int64_t u = 0; u < target.n_rows; ++u) {
        const Segment stored = segment_of(target, u, first, last);
        for (std::int64_t p = stored.start; p < stored.stop; ++p)
            scores.row(target.indices[p] - first)[u] -= target.value(p);
    }
}

double by_tiles(const CsrView& target, ConstMatrix hidden, const Parameter& decoder, float factor, Matrix grad_hidden,
                int num_threads) {
    const Update update(decoder);
    const std::int64_t q = hidden.rows, k = hidden.cols;
    const ItemTiles tiles(target.n_cols, std::max(q, k));
    return over_tiles(tiles, grad_hidden, factor, num_threads,
                      [&](std::int64_t first, std::int64_t last, Matrix sum, bool fresh) {
                          const std::int64_t rows = last - first;
                          const ScratchMatrix errors(rows, q), grad(rows, k);
                          const ConstMatrix weights = read_only(rows_of(decoder.value, first, last));
                          multiply(Op::kAsIs, Op::kTransposed, 1.0f, weights, hidden, 0.0f, errors);
                          subtract_target(target, first, last, errors);
                          if (sum.data)
                              multiply(Op::kTransposed, Op::kAsIs, 1.0f, errors, weights, fresh ? 0.0f : 1.0f, sum);
                          multiply(Op::kAsIs, Op::kAsIs, 1.0f, errors, hidden, 0.0f, grad);
                          const double loss = inner_product(errors, errors);
                          update.rows(first, grad, factor);
                          return loss;
                      });
}

// A^T A in parts of fixed borders.
class GramParts {
   public:
    explicit GramParts(ConstMatrix a)
        : a_(a), size_(a.cols * a.cols), count_(group_count(a.rows / kGramRows, size_)), parts_(count_ * size_) {}

    std::int64_t count() const { return count_; }
    void compute(std::int64_t part) const {
        const std::int64_t start = part * a_.rows / count_, stop = (part + 1) * a_.rows / count_;
        lower_gram({a_.row(start), stop - start, a_.cols, a_.stride},
                   {parts_.data() + part * size_, a_.cols, a_.cols, a_.cols});
    }
    // Rows of the block of the result to the left of the diagonal, and their mirror image above it.
    void add_up(std::int64_t block, Matrix out) const {
        const std::int64_t start = block * kMirrorRows, stop = std::min(out.rows, start + kMirrorRows);
        for (std::int64_t i = start; i < stop; ++i) {
            std::copy_n(parts_.data() + i * a_.cols, i + 1, out.row(i));
            for (std::int64_t part = 1; part < count_; ++part)
                add_to(parts_.data() + part * size_ + i * a_.cols, i + 1, out.row(i));
        }
        for (std::int64_t j = 0; j < stop; ++j)
            for (std::int64_t i = std::max(start, j + 1); i < stop; ++i) out.row(j)[i] = out.row(i)[j];
    }

   private:
    ConstMatrix a_;
    std::int64_t size_, count_;
    Scratch parts_;
};

double sum_of_squares(const CsrView& target) {
    if (!target.values) return static_cast<double>(target.nnz());
    double sum = 0;
    for (std::int64_t p = target.indptr[0]; p < target.indptr[target.n_rows]; ++p)
        sum += static_cast<double>(target.values[p]) * static_cast<double>(target.values[p]);
    return sum;
}

// What loss and gradients are made of; P and G are only there for the gradient of the hidden units.
struct GramSums {
    ScratchMatrix product;               // P = T D
    ScratchMatrix item_gram, user_gram;  // G = D^T D, S = H^T H
    ItemIndex index;                     // of T

    GramSums(const CsrView& target, ConstMatrix hidden, ConstMatrix weights, bool backward, int num_threads)
        : product(backward ? hidden.rows : 0, hidden.cols),
          item_gram(hidden.cols, hidden.cols),
          user_gram(hidden.cols, hidden.cols),
          index(target) {
        if (backward) encode(target, weights, nullptr, kIdentity, product, num_threads);
        const GramParts items(rows_of(weights, 0, backward ? weights.rows : 0)), users(hidden);
        const std::int64_t first_part = items.count() + users.count();
        parallel_for(first_part + index.parts(), num_threads, [&](std::int64_t t) {
            if (t < items.count()) {
                items.compute(t);
            } else if (t < first_part) {
                users.compute(t - items.count());
            } else {
                index.make(t - first_part);
            }
        });
        parallel_for((hidden.cols + kMirrorRows - 1) / kMirrorRows, num_threads, [&](std::int64_t block) {
            items.add_up(block, item_gram);
            users.add_up(block, user_gram);
        });
    }
};

double by_gram(const CsrView& target, ConstMatrix hidden, const Parameter& decoder, float factor, Matrix grad_hidden,
               int num_threads) {
    const Update update(decoder);
    const std::int64_t q = hidden.rows, k = hidden.cols;
    const ConstMatrix weights = read_only(decoder.value);
    const bool backward = grad_hidden.data != nullptr;
    const GramSums sums(target, hidden, weights, backward, num_threads);

    const ItemTiles tiles(target.n_cols, k);
    const std::int64_t user_tasks = backward ? (q + kUserRows - 1) / kUserRows : 0;
    std::vector<double> losses(static_cast<std::size_t>(tiles.count()));
    parallel_for(user_tasks + tiles.count(), num_threads, [&](std::int64_t task) {
        if (task < user_tasks) {
            const std::int64_t start = task * kUserRows, stop = std::min(q, start + kUserRows);
            const Matrix grad = rows_of(grad_hidden, start, stop);
            multiply(Op::kAsIs, Op::kAsIs, factor, rows_of(hidden, start, stop), sums.item_gram, 1.0f, grad);
            add_rows(-factor, read_only(rows_of(*sums.product, start, stop)), grad);
            return;
        }
        const std::int64_t t = task - user_tasks, first = tiles.first(t), last = tiles.last(t), rows = last - first;
        const ScratchMatrix grad(rows, k);
        const ConstMatrix tile = rows_of(weights, first, last);
        sums.index.product(first, last, -1.0f, hidden, grad);
        const double with_target = inner_product(tile, grad);
        multiply(Op::kAsIs, Op::kAsIs, 1.0f, tile, sums.user_gram, 1.0f, grad);
        losses[static_cast<std::size_t>(t)] = inner_product(tile, grad) + with_target;
        update.rows(first, grad, factor);
    });
    return std::accumulate(losses.begin(), losses.end(), sum_of_squares(target));
}

// By the number of multiplications; half a symmetric product takes three quarters of the time of the whole.
bool gram_is_cheaper(const CsrView& target, ConstMatrix hidden, bool backward) {
    const auto n = static_cast<double>(target.n_cols), q = static_cast<double>(hidden.rows),
               k = static_cast<double>(hidden.cols);
    const double tiles = (backward ? 3 : 2) * n * q * k;
    const double gram = (backward ? 1.85 : 1) * n * k * k + (backward ? 1.75 : 0.75) * q * k * k;
    return gram < tiles;
}

}  // namespace

double mse_head(const CsrView& target, ConstMatrix hidden, const Parameter& decoder, float scale, Matrix grad_hidden,
                int plan, int num_threads) {
    require_shapes(target, hidden, decoder, grad_hidden);
    const bool gram = plan == kGram || (plan != kTiles && gram_is_cheaper(target, hidden, grad_hidden.data != nullptr));
    return (gram ? by_gram : by_tiles)(target, hidden, decoder, 2 * scale, grad_hidden, num_threads);
}

}  // namespace fastautorec
