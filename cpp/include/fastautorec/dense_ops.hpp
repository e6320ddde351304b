// Products of dense matrices that BLAS libraries are slow at.
#pragma once

#include "fastautorec/views.hpp"

namespace fastautorec {

// out (q, n) = a b^T for few rows of a (q, k) and many of b (n, k), shared out over the rows of b, which are read once.
// Each dot product is summed in an order that depends on k alone. b must be finite: some of its values are multiplied
// by zero.
void multiply_few_rows(ConstMatrix a, ConstMatrix b, Matrix out, int num_threads);

}  // namespace fastautorec
