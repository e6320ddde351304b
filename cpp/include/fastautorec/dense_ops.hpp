// Products of dense matrices that BLAS libraries are slow at.
#pragma once

#include <cstdint>

#include "fastautorec/views.hpp"

namespace fastautorec {

// out (q, n) = a b^T for few rows of a (q, k) and many of b (n, k), shared out over the rows of b, which are read once.
// Each dot product is summed in an order that depends on k alone. b must be finite: some of its values are multiplied
// by zero.
void multiply_few_rows(ConstMatrix a, ConstMatrix b, Matrix out, int num_threads);

// out[j] = <a, b.row(listed[j])>, with the bits of `multiply_few_rows`.
void multiply_listed_rows(const float* a, ConstMatrix b, const std::int32_t* listed, std::int64_t count, float* out);

}  // namespace fastautorec
