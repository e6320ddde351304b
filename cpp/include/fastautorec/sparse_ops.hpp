// Products of a sparse user-item matrix X (m, n) with dense matrices whose rows belong to items.
//
// All three walk X once per panel of columns and keep that panel of the dense matrix in a packed buffer, so that the
// gathered rows come from the L2 cache. A column's sums run over users (or items) in storage order whatever the panels
// and threads are, so results have the same bits for any number of threads.
#pragma once

#include <cstdint>

#include "fastautorec/views.hpp"

namespace fastautorec {

// out (m, k) = act(X weight + bias); weight (n, k), bias (k) or null; activation as in scalar_math.h.
void encode(const CsrView& x, ConstMatrix weight, const float* bias, int activation, Matrix out, int num_threads);

// out (n, k) = X^T grad, added to what is there if `accumulate`; grad (m, k).
void encode_backward(const CsrView& x, ConstMatrix grad, Matrix out, bool accumulate, int num_threads);

// out (n, k) = W X^T A X W block; block (n, k), W = diag(item_weights), A = diag(user_weights), each 1 where null. The
// product of a subspace iteration, without the (m, k) intermediate and without the values of a weighted X.
void gram_product(const CsrView& x, const float* item_weights, const float* user_weights, ConstMatrix block, Matrix out,
                  int num_threads);

// values[p] of each stored entry: 0 with probability `rate`, else its old value / (1 - rate). Entry number e of row u
// uses word e of the Philox stream (seed, epoch, users[u]), or that of user u where `users` is null: the same mask for
// any tiling, any order of the rows and any thread count.
void drop_entries(const CsrView& x, float rate, std::uint64_t seed, std::uint32_t epoch, const std::int64_t* users,
                  float* values, int num_threads);

}  // namespace fastautorec
