#include <stdexcept>

#include "check.hpp"
#include "fastautorec/blas.hpp"
#include "matrices.hpp"
#include "plain_blas.hpp"

using namespace fastautorec;
using testing::Dense;

namespace {

float element(const Dense& a, Op op, std::int64_t i, std::int64_t j) {
    return op == Op::kAsIs ? a.at(i, j) : a.at(j, i);
}

// alpha op(a) op(b) + beta c
Dense product(Op op_a, Op op_b, float alpha, const Dense& a, const Dense& b, float beta, const Dense& c) {
    Dense out = c;
    const std::int64_t inner = op_a == Op::kAsIs ? a.cols : a.rows;
    for (std::int64_t i = 0; i < c.rows; ++i) {
        for (std::int64_t j = 0; j < c.cols; ++j) {
            double sum = 0;
            for (std::int64_t p = 0; p < inner; ++p)
                sum += static_cast<double>(element(a, op_a, i, p)) * static_cast<double>(element(b, op_b, p, j));
            out.at(i, j) =
                static_cast<float>(alpha * sum + (beta == 0.0f ? 0.0 : static_cast<double>(beta * c.at(i, j))));
        }
    }
    return out;
}

bool close(const Dense& a, const Dense& b) {
    for (std::size_t e = 0; e < a.data.size(); ++e)
        if (!testing::close(a.data[e], b.data[e], 1e-4)) return false;
    return true;
}

}  // namespace

TEST(products) {
    const std::int64_t sizes[][3] = {{1, 1, 1}, {5, 7, 3}, {70, 20, 130}, {1, 9, 4},
                                     {9, 1, 4}, {4, 5, 0}, {0, 3, 2},     {3, 0, 2}};
    for (const auto& size : sizes) {
        for (const Op op_a : {Op::kAsIs, Op::kTransposed}) {
            for (const Op op_b : {Op::kAsIs, Op::kTransposed}) {
                const bool plain_a = op_a == Op::kAsIs, plain_b = op_b == Op::kAsIs;
                const Dense a = testing::random_dense(plain_a ? size[0] : size[2], plain_a ? size[2] : size[0], 1, 3);
                const Dense b = testing::random_dense(plain_b ? size[2] : size[1], plain_b ? size[1] : size[2], 2, 1);
                for (const float beta : {0.0f, 1.0f, -0.5f}) {
                    Dense c = testing::random_dense(size[0], size[1], 3, 2);
                    const Dense expected = product(op_a, op_b, 0.7f, a, b, beta, c);
                    multiply(op_a, op_b, 0.7f, a.view(), b.view(), beta, c.view());
                    CHECK(close(c, expected));
                }
            }
        }
    }
}

TEST(gram) {
    for (const std::int64_t rows : {0, 1, 50}) {
        const Dense a = testing::random_dense(rows, 13, 4, 2);
        Dense c(13, 13, 5);
        const Dense expected = product(Op::kTransposed, Op::kAsIs, 1.0f, a, a, 0.0f, c);
        lower_gram(a.view(), c.view());
        bool good = true;
        for (std::int64_t i = 0; i < 13; ++i)
            for (std::int64_t j = 0; j <= i; ++j) good &= testing::close(c.at(i, j), expected.at(i, j), 1e-4);
        CHECK(good);
    }
}

TEST(wrong_shapes_are_refused) {
    const Dense a(3, 4), b(4, 5);
    Dense c(3, 5), other(4, 4);
    CHECK_THROWS(multiply(Op::kAsIs, Op::kTransposed, 1, a.view(), b.view(), 0, c.view()), std::invalid_argument);
    CHECK_THROWS(multiply(Op::kAsIs, Op::kAsIs, 1, a.view(), b.view(), 0, other.view()), std::invalid_argument);
    CHECK_THROWS(lower_gram(a.view(), c.view()), std::invalid_argument);
}

TEST(blas_must_be_set) {
    const Dense a(3, 3);
    Dense c(3, 3);
    set_blas(nullptr, nullptr);
    CHECK_THROWS(multiply(Op::kAsIs, Op::kAsIs, 1, a.view(), a.view(), 0, c.view()), std::invalid_argument);
    CHECK_THROWS(lower_gram(a.view(), c.view()), std::invalid_argument);
    testing::use_plain_blas();
}

int main() {
    testing::use_plain_blas();
    return testing::run_all();
}
