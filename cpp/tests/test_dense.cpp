#include <cstring>
#include <stdexcept>

#include "check.hpp"
#include "fastautorec/dense_ops.hpp"
#include "matrices.hpp"

using namespace fastautorec;
using testing::Dense;

namespace {

Dense product(const Dense& a, const Dense& b, int threads) {
    Dense out(a.rows, b.rows, 3);
    multiply_few_rows(a.view(), b.view(), out.view(), threads);
    return out;
}

bool same_bits(const Dense& a, const Dense& b, std::int64_t row_of_b) {
    return std::memcmp(a.view().row(0), b.view().row(row_of_b), static_cast<std::size_t>(a.cols) * sizeof(float)) == 0;
}

}  // namespace

TEST(products_of_every_width) {
    for (const std::int64_t k : {0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 200, 201}) {
        const Dense a = testing::random_dense(7, k, 1, 2), b = testing::random_dense(61, k, 2, 5);
        const Dense out = product(a, b, 2);
        for (std::int64_t i = 0; i < a.rows; ++i) {
            for (std::int64_t j = 0; j < b.rows; ++j) {
                double sum = 0.0;
                for (std::int64_t c = 0; c < k; ++c) sum += static_cast<double>(a.at(i, c)) * b.at(j, c);
                CHECK(testing::close(out.at(i, j), sum, 1e-4));
            }
        }
    }
}

TEST(a_row_has_the_same_bits_alone_and_for_any_number_of_threads) {
    for (const std::int64_t k : {5, 40, 201}) {
        const Dense a = testing::random_dense(8, k, 3), b = testing::random_dense(3000, k, 4);
        for (const std::int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8}) {
            for (const int threads : {1, 2, 7}) {
                Dense some(rows, k);
                std::copy_n(a.data.begin(), rows * k, some.data.begin());
                const Dense out = product(some, b, threads);
                for (std::int64_t i = 0; i < rows; ++i) {
                    Dense alone(1, k);
                    std::copy_n(a.data.begin() + i * k, k, alone.data.begin());
                    CHECK(same_bits(product(alone, b, 1), out, i));
                }
            }
        }
    }
}

TEST(products_of_nothing) {
    CHECK(product(Dense(0, 4), Dense(3, 4), 2).rows == 0);
    CHECK(product(Dense(2, 4), Dense(0, 4), 2).cols == 0);
}

TEST(wrong_shapes_are_refused) { CHECK_THROWS(product(Dense(2, 4), Dense(3, 5), 1), std::invalid_argument); }

int main() { return testing::run_all(); }
