#include "fastautorec/blas.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "fastautorec/blas_regions.hpp"
#include "fastautorec/check.hpp"

namespace fastautorec {
namespace {

std::atomic<Sgemm> sgemm_of_host{nullptr};
std::atomic<Ssyrk> ssyrk_of_host{nullptr};

int int_size(std::int64_t size) {
    require(size <= std::numeric_limits<int>::max(), "matrix is too large for BLAS");
    return static_cast<int>(size);
}

// BLAS wants a leading dimension of at least one row, even where there is a single row or none.
int leading(ConstMatrix a) { return int_size(std::max<std::int64_t>({a.stride, a.cols, 1})); }

}  // namespace

void set_blas(Sgemm sgemm, Ssyrk ssyrk) {
    sgemm_of_host = sgemm;
    ssyrk_of_host = ssyrk;
}

void multiply(Op op_a, Op op_b, float alpha, ConstMatrix a, ConstMatrix b, float beta, Matrix c) {
    const std::int64_t inner = op_a == Op::kAsIs ? a.cols : a.rows;
    require(c.rows == (op_a == Op::kAsIs ? a.rows : a.cols) && c.cols == (op_b == Op::kAsIs ? b.cols : b.rows) &&
                inner == (op_b == Op::kAsIs ? b.rows : b.cols),
            "multiply: shapes do not match");
    const Sgemm sgemm = sgemm_of_host;
    require(sgemm, "multiply: no BLAS was set");
    if (inner == 0) {  // libraries differ in what they do to c when there is nothing to add
        for (std::int64_t i = 0; i < c.rows; ++i)
            for (float *out = c.row(i), *end = out + c.cols; out < end; ++out) *out = beta == 0.0f ? 0.0f : beta * *out;
        return;
    }
    if (c.rows == 0 || c.cols == 0) return;
    limit_own_thread();
    // Fortran reads our rows as columns: it computes c^T = op(b)^T op(a)^T.
    const char trans_a = op_a == Op::kAsIs ? 'N' : 'T', trans_b = op_b == Op::kAsIs ? 'N' : 'T';
    const int m = int_size(c.cols), n = int_size(c.rows), k = int_size(inner);
    const int lda = leading(b), ldb = leading(a), ldc = leading(read_only(c));
    sgemm(&trans_b, &trans_a, &m, &n, &k, &alpha, b.data, &lda, a.data, &ldb, &beta, c.data, &ldc);
}

void lower_gram(ConstMatrix a, Matrix c) {
    require(c.rows == a.cols && c.cols == a.cols, "lower_gram: c must be (columns, columns)");
    const Ssyrk ssyrk = ssyrk_of_host;
    require(ssyrk, "lower_gram: no BLAS was set");
    if (a.rows == 0) return multiply(Op::kTransposed, Op::kAsIs, 1.0f, a, a, 0.0f, c);
    if (a.cols == 0) return;
    limit_own_thread();
    const char uplo = 'U', trans = 'N';  // above the diagonal in Fortran's order of storage
    const int n = int_size(a.cols), k = int_size(a.rows), lda = leading(a), ldc = leading(read_only(c));
    const float one = 1.0f, zero = 0.0f;
    ssyrk(&uplo, &trans, &n, &k, &one, a.data, &lda, &zero, c.data, &ldc);
}

}  // namespace fastautorec
