// Losses of the two decoders, with their gradients. Scores z_ui = <h_u, d_i> of all users and items never exist at
// once.
//
// Both add `scale` times the gradient of the hidden units to grad_hidden (q, k), if it has data, change the decoder
// (n, k) by its rule for `scale` times its own gradient, and return the loss itself.
#pragma once

#include <cstdint>

#include "fastautorec/optim_ops.hpp"
#include "fastautorec/views.hpp"

namespace fastautorec {

enum Plan { kAuto = 0, kGram = 1, kTiles = 2, kSparse = 3 };

// Squared error over all items, sum_ui (z_ui - t_ui)^2 (Eq. 8 and 17).
//
// kTiles: scores of a run of items at a time. kGram: with G = D^T D and S = H^T H, both (k, k),
//   loss = |T|^2 - 2 <D, T^T H> + <D S, D>,  dH = 2 (H G - T D),  dD = 2 (D S - T^T H).
double mse_head(const CsrView& target, ConstMatrix hidden, const Parameter& decoder, float scale, Matrix grad_hidden,
                int plan, int num_threads);

// -sum_u [r_u o_u - (|r_u| / |s_u|) s_u o_u] with outputs o = out(z) (Eq. 7), for binary `positives` r and `counts` s
// of the pattern `negatives`. kSparse: scores of stored entries only. kTiles: scores of a run of items at a time.
double ns_head(const CsrView& positives, const CsrView& negatives, const std::int32_t* counts, ConstMatrix hidden,
               const Parameter& decoder, int output, float scale, Matrix grad_hidden, int plan, int num_threads);

}  // namespace fastautorec
