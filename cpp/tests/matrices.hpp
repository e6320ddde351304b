// Matrices to test with, and the plain loops to compare with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "fastautorec/views.hpp"

namespace testing {

using fastautorec::ConstMatrix;
using fastautorec::CsrView;
using fastautorec::Matrix;

struct Csr {
    std::int64_t n_rows = 0, n_cols = 0;
    std::vector<std::int64_t> indptr{0};
    std::vector<std::int32_t> indices;
    std::vector<float> values;

    CsrView view() const { return {n_rows, n_cols, indptr.data(), indices.data(), values.data()}; }
    CsrView pattern() const { return {n_rows, n_cols, indptr.data(), indices.data(), nullptr}; }
    // Rows start..stop, as a view whose first row pointer is not 0.
    CsrView rows(std::int64_t start, std::int64_t stop) const {
        return {stop - start, n_cols, indptr.data() + start, indices.data(), values.data()};
    }
};

// Every entry is stored with probability `density`; every seventh row is empty.
inline Csr random_csr(std::int64_t n_rows, std::int64_t n_cols, double density, unsigned seed) {
    std::mt19937 random(seed);
    std::bernoulli_distribution stored(density);
    std::normal_distribution<float> value;
    Csr x;
    x.n_rows = n_rows;
    x.n_cols = n_cols;
    for (std::int64_t i = 0; i < n_rows; ++i) {
        for (std::int64_t j = 0; i % 7 != 6 && j < n_cols; ++j) {
            if (!stored(random)) continue;
            x.indices.push_back(static_cast<std::int32_t>(j));
            x.values.push_back(value(random));
        }
        x.indptr.push_back(static_cast<std::int64_t>(x.indices.size()));
    }
    return x;
}

// A matrix whose rows lie `stride` apart, so that vector loads meet every alignment.
struct Dense {
    std::int64_t rows, cols, stride;
    std::vector<float> data;

    Dense(std::int64_t n, std::int64_t k, std::int64_t gap = 0)
        : rows(n), cols(k), stride(k + gap), data(static_cast<std::size_t>(n * (k + gap))) {}

    float& at(std::int64_t i, std::int64_t c) { return data[static_cast<std::size_t>(i * stride + c)]; }
    float at(std::int64_t i, std::int64_t c) const { return data[static_cast<std::size_t>(i * stride + c)]; }
    Matrix view() { return {data.data(), rows, cols, stride}; }
    ConstMatrix view() const { return {data.data(), rows, cols, stride}; }
};

inline Dense random_dense(std::int64_t n, std::int64_t k, unsigned seed, std::int64_t gap = 0) {
    std::mt19937 random(seed);
    std::normal_distribution<float> value;
    Dense result(n, k, gap);
    std::generate(result.data.begin(), result.data.end(), [&] { return value(random); });
    return result;
}

}  // namespace testing
