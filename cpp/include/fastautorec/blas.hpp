// Dense products on row-major views, by the BLAS that the host language hands over before the first one.
#pragma once

#include "fastautorec/views.hpp"

namespace fastautorec {

// Fortran's sgemm and ssyrk with 32-bit integers. They are called by the threads of parallel_for, all at the same time,
// and must use one thread each.
using Sgemm = void (*)(const char* trans_a, const char* trans_b, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);
using Ssyrk = void (*)(const char* uplo, const char* trans, const int* n, const int* k, const float* alpha,
                       const float* a, const int* lda, const float* beta, float* c, const int* ldc);

void set_blas(Sgemm sgemm, Ssyrk ssyrk);

enum class Op { kAsIs, kTransposed };

// c = alpha op(a) op(b) + beta c; with beta 0, c is only written.
void multiply(Op op_a, Op op_b, float alpha, ConstMatrix a, ConstMatrix b, float beta, Matrix c);

// c = a^T a on and below the diagonal; what is above it stays.
void lower_gram(ConstMatrix a, Matrix c);

}  // namespace fastautorec
