// Optimisers. Operations that end in the gradient of a weight matrix make it in pieces, and each piece is used up at
// once: the gradient never exists as a matrix, and weights and moments are read and written once.
#pragma once

#include <cstdint>

#include "fastautorec/scalar_math.h"
#include "fastautorec/views.hpp"

namespace fastautorec {

enum Rule { kGradient = 0, kSgd = 1, kAdam = 2, kAdamW = 3 };  // kGradient stores the gradient in `first`

// Weights with the state of their optimiser; the rules are those of torch.optim.
struct Parameter {
    Matrix value;
    Matrix first, second;  // moments; no data where the rule keeps none
    int rule;
    double learning_rate, decay, last_decay;  // last_decay: of the last column, if it holds biases
    bool bias_column;
    std::int64_t step;  // number of this change: 1, 2, ...
    double beta1, beta2, epsilon;
};

// The constants of one change.
class Update {
   public:
    explicit Update(const Parameter& parameter);

    // Changes rows first.. for the gradient `factor` * grad. Rows are independent: any thread may change any of them.
    void rows(std::int64_t first, ConstMatrix grad, float factor) const;

   private:
    Parameter parameter_;
    UpdateRates rates_, last_rates_;
};

// Changes all weights for the gradient `grad`, of their shape.
void optimizer_step(const Parameter& parameter, ConstMatrix grad, int num_threads);

// Changes the weights (n, k) of an encoder for the gradient X^T grad; grad (q, k).
void encode_backward_step(const CsrView& x, ConstMatrix grad, const Parameter& parameter, int num_threads);

}  // namespace fastautorec
