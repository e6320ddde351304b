#pragma once

#include "fastautorec/blas.hpp"

namespace testing {

// BLAS as Fortran has it, columns one after the other, by its definition.
inline void plain_sgemm(const char* trans_a, const char* trans_b, const int* m, const int* n, const int* k,
                        const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                        const float* beta, float* c, const int* ldc) {
    for (int i = 0; i < *m; ++i) {
        for (int j = 0; j < *n; ++j) {
            float sum = 0;
            for (int p = 0; p < *k; ++p)
                sum += (*trans_a == 'N' ? a[i + p * *lda] : a[p + i * *lda]) *
                       (*trans_b == 'N' ? b[p + j * *ldb] : b[j + p * *ldb]);
            float& out = c[i + j * *ldc];
            out = *alpha * sum + (*beta == 0.0f ? 0.0f : *beta * out);
        }
    }
}

inline void plain_ssyrk(const char* uplo, const char* trans, const int* n, const int* k, const float* alpha,
                        const float* a, const int* lda, const float* beta, float* c, const int* ldc) {
    for (int j = 0; j < *n; ++j) {
        for (int i = *uplo == 'U' ? 0 : j; i < (*uplo == 'U' ? j + 1 : *n); ++i) {
            float sum = 0;
            for (int p = 0; p < *k; ++p)
                sum += *trans == 'N' ? a[i + p * *lda] * a[j + p * *lda] : a[p + i * *lda] * a[p + j * *lda];
            float& out = c[i + j * *ldc];
            out = *alpha * sum + (*beta == 0.0f ? 0.0f : *beta * out);
        }
    }
}

inline void use_plain_blas() { fastautorec::set_blas(&plain_sgemm, &plain_ssyrk); }

}  // namespace testing
