// Non-owning views of row-major arrays. Sizes and row pointers are 64-bit, item ids 32-bit.
#pragma once

#include <cstdint>

namespace fastautorec {

// Compressed sparse rows: row i is stored at indptr[i]..indptr[i + 1] (indptr[0] need not be 0), item ids ascending.
struct CsrView {
    std::int64_t n_rows;
    std::int64_t n_cols;
    const std::int64_t* indptr;
    const std::int32_t* indices;
    const float* values;  // null: every stored value is 1

    std::int64_t nnz() const { return indptr[n_rows] - indptr[0]; }
    float value(std::int64_t p) const { return values ? values[p] : 1.0f; }
};

template <class T>
struct VectorView {
    T* data;
    std::int64_t size;
};

template <class T>
struct MatrixView {
    T* data;
    std::int64_t rows;
    std::int64_t cols;
    std::int64_t stride;  // elements from one row to the next

    T* row(std::int64_t i) const { return data + i * stride; }
};

using Matrix = MatrixView<float>;
using ConstMatrix = MatrixView<const float>;

inline ConstMatrix read_only(Matrix a) { return {a.data, a.rows, a.cols, a.stride}; }

// Rows start..stop.
template <class T>
MatrixView<T> rows_of(MatrixView<T> a, std::int64_t start, std::int64_t stop) {
    return {a.row(start), stop - start, a.cols, a.stride};
}

}  // namespace fastautorec
