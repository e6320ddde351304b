#include "fastautorec/optim_ops.hpp"

#include <cmath>

#include "fastautorec/check.hpp"
#include "fastautorec/item_index.hpp"
#include "fastautorec/item_tiles.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/scratch.hpp"
#include "fastautorec/simd.hpp"

namespace fastautorec {
namespace {

UpdateRates rates_of(const Parameter& p, double decay) {
    const double step = static_cast<double>(p.step);
    UpdateRates rates{};
    rates.rate = static_cast<float>(p.rule == kSgd ? p.learning_rate : p.learning_rate / (1 - std::pow(p.beta1, step)));
    rates.decay = static_cast<float>(p.rule == kAdamW ? 0 : decay);
    rates.shrink = static_cast<float>(p.rule == kAdamW ? 1 - p.learning_rate * decay : 1);
    rates.beta1 = static_cast<float>(p.rule == kSgd && p.step == 1 ? 0 : p.beta1);
    rates.share1 = static_cast<float>(1 - p.beta1);
    rates.beta2 = static_cast<float>(p.beta2);
    rates.share2 = static_cast<float>(1 - p.beta2);
    rates.correction = static_cast<float>(1 / std::sqrt(1 - std::pow(p.beta2, step)));
    rates.epsilon = static_cast<float>(p.epsilon);
    return rates;
}

// Columns [start, stop) of one row; the rule is known outside the loops, so that they compile to vector code.
FASTAUTOREC_INLINE void update_columns(int rule, const UpdateRates rates, float factor, std::int64_t start,
                                       std::int64_t stop, const float* __restrict grad, float* __restrict w,
                                       float* __restrict m, float* __restrict v) {
    if (rule == kGradient) {
        for (std::int64_t c = start; c < stop; ++c) m[c] = factor * grad[c];
    } else if (rule == kSgd && m) {
        for (std::int64_t c = start; c < stop; ++c) momentum_update(factor * grad[c], rates, w[c], m[c]);
    } else if (rule == kSgd) {
        for (std::int64_t c = start; c < stop; ++c) sgd_update(factor * grad[c], rates, w[c]);
    } else {
        for (std::int64_t c = start; c < stop; ++c) adam_update(factor * grad[c], rates, w[c], m[c], v[c]);
    }
}

FASTAUTOREC_CLONES void update_rows(const Parameter& p, const UpdateRates& rates, const UpdateRates& last_rates,
                                    float factor, std::int64_t first, ConstMatrix grad) {
    const std::int64_t body = grad.cols - (p.bias_column && grad.cols > 0 ? 1 : 0);
    for (std::int64_t r = 0; r < grad.rows; ++r) {
        float* w = p.value.row(first + r);
        float* m = p.first.data ? p.first.row(first + r) : nullptr;
        float* v = p.second.data ? p.second.row(first + r) : nullptr;
        update_columns(p.rule, rates, factor, 0, body, grad.row(r), w, m, v);
        update_columns(p.rule, last_rates, factor, body, grad.cols, grad.row(r), w, m, v);
    }
}

}  // namespace

Update::Update(const Parameter& parameter)
    : parameter_(parameter),
      rates_(rates_of(parameter, parameter.decay)),
      last_rates_(rates_of(parameter, parameter.last_decay)) {
    const auto same_shape = [&](Matrix moment) {
        return moment.rows == parameter.value.rows && moment.cols == parameter.value.cols;
    };
    require(parameter.step >= 1, "optimiser: steps count from 1");
    require(!parameter.first.data || same_shape(parameter.first), "optimiser: first must have the shape of value");
    require(!parameter.second.data || same_shape(parameter.second), "optimiser: second must have the shape of value");
    const bool empty = parameter.value.rows == 0 || parameter.value.cols == 0;
    require(empty || parameter.rule == kSgd || parameter.first.data, "optimiser: the rule needs first");
    require(empty || parameter.rule < kAdam || parameter.second.data, "optimiser: the rule needs second");
}

void Update::rows(std::int64_t first, ConstMatrix grad, float factor) const {
    update_rows(parameter_, rates_, last_rates_, factor, first, grad);
}

void optimizer_step(const Parameter& parameter, ConstMatrix grad, int num_threads) {
    require(grad.rows == parameter.value.rows && grad.cols == parameter.value.cols,
            "optimizer_step: grad must have the shape of value");
    const Update update(parameter);
    const ItemTiles tiles(grad.rows, grad.cols);
    parallel_for(tiles.count(), num_threads, [&](std::int64_t t) {
        update.rows(tiles.first(t), rows_of(grad, tiles.first(t), tiles.last(t)), 1.0f);
    });
}

void encode_backward_step(const CsrView& x, ConstMatrix grad, const Parameter& parameter, int num_threads) {
    require(grad.rows == x.n_rows, "encode_backward: grad must have one row for each user");
    require(parameter.value.rows == x.n_cols && parameter.value.cols == grad.cols,
            "encode_backward: parameter must be (items, units)");
    const Update update(parameter);
    ItemIndex index(x);
    parallel_for(index.parts(), num_threads, [&](std::int64_t part) { index.make(part); });
    const ItemTiles tiles(x.n_cols, grad.cols);
    parallel_for(tiles.count(), num_threads, [&](std::int64_t t) {
        const std::int64_t first = tiles.first(t), last = tiles.last(t);
        const ScratchMatrix sums(last - first, grad.cols);
        index.product(first, last, 1.0f, grad, sums);
        update.rows(first, sums, 1.0f);
    });
}

}  // namespace fastautorec
