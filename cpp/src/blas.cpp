#include "fastautorec/blas.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "fastautorec/blas_regions.hpp"
#include "fastautorec/check.hpp"
#include "fastautorec/scratch.hpp"
#include "fastautorec/simd.hpp"

namespace fastautorec {
namespace {

std::atomic<Sgemm> sgemm_of_host{nullptr};
std::atomic<Ssyrk> ssyrk_of_host{nullptr};

constexpr std::int64_t kBlock = 64;  // rows of b that stay in the cache while the loops go over the rows of a

int int_size(std::int64_t size) {
    require(size <= std::numeric_limits<int>::max(), "matrix is too large for BLAS");
    return static_cast<int>(size);
}

// BLAS wants a leading dimension of at least one row, even where there is a single row or none.
int leading(ConstMatrix a) { return int_size(std::max<std::int64_t>({a.stride, a.cols, 1})); }

FASTAUTOREC_CLONES void add_products(Op op_a, float alpha, ConstMatrix a, ConstMatrix b, Matrix c) {
    for (std::int64_t start = 0; start < b.rows; start += kBlock) {
        const std::int64_t stop = std::min(start + kBlock, b.rows);
        for (std::int64_t i = 0; i < c.rows; ++i) {
            float* out = c.row(i);
            for (std::int64_t p = start; p < stop; ++p) {
                const float factor = alpha * (op_a == Op::kAsIs ? a.row(i)[p] : a.row(p)[i]);
                const float* row = b.row(p);
                for (std::int64_t j = 0; j < c.cols; ++j) out[j] += factor * row[j];
            }
        }
    }
}

void multiply_plainly(Op op_a, Op op_b, float alpha, ConstMatrix a, ConstMatrix b, float beta, Matrix c) {
    for (std::int64_t i = 0; i < c.rows; ++i) {
        float* out = c.row(i);
        for (std::int64_t j = 0; j < c.cols; ++j) out[j] = beta == 0.0f ? 0.0f : beta * out[j];
    }
    if (op_b == Op::kAsIs) {
        add_products(op_a, alpha, a, b, c);
        return;
    }
    const Scratch memory(b.rows * b.cols);
    const Matrix flipped{memory.data(), b.cols, b.rows, b.rows};
    for (std::int64_t j = 0; j < b.rows; ++j)
        for (std::int64_t p = 0; p < b.cols; ++p) flipped.row(p)[j] = b.row(j)[p];
    add_products(op_a, alpha, a, read_only(flipped), c);
}

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
    if (!sgemm || inner == 0) {  // libraries differ in what they do to c when there is nothing to add
        multiply_plainly(op_a, op_b, alpha, a, b, beta, c);
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
    if (!ssyrk || a.rows == 0) {
        multiply_plainly(Op::kTransposed, Op::kAsIs, 1.0f, a, a, 0.0f, c);
        return;
    }
    if (a.cols == 0) return;
    limit_own_thread();
    const char uplo = 'U', trans = 'N';  // above the diagonal in Fortran's order of storage
    const int n = int_size(a.cols), k = int_size(a.rows), lda = leading(a), ldc = leading(read_only(c));
    const float one = 1.0f, zero = 0.0f;
    ssyrk(&uplo, &trans, &n, &k, &one, a.data, &lda, &zero, c.data, &ldc);
}

}  // namespace fastautorec
