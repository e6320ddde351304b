#include <cmath>
#include <random>
#include <stdexcept>

#include "check.hpp"
#include "fastautorec/head_ops.hpp"
#include "matrices.hpp"
#include "plain_blas.hpp"

using namespace fastautorec;
using testing::Dense;

namespace {

// Loss and gradients of a head; the decoder keeps its gradient.
struct Result {
    double loss = 0;
    Dense grad_hidden, grad;

    Result(std::int64_t q, std::int64_t n, std::int64_t k, std::int64_t gap = 0)
        : grad_hidden(q, k, gap), grad(n, k, gap) {}
    bool operator==(const Result& other) const {
        return loss == other.loss && grad_hidden.data == other.grad_hidden.data && grad.data == other.grad.data;
    }
};

struct Case {
    std::int64_t q, n, k;
    testing::Csr target, negatives;
    std::vector<std::int32_t> counts;
    Dense hidden, weights;

    Case(std::int64_t users, std::int64_t items, std::int64_t units, double density, std::int64_t gap = 0)
        : q(users),
          n(items),
          k(units),
          target(testing::random_csr(q, n, density, 1)),
          negatives(testing::random_csr(q, n, 0.3, 2)),
          hidden(testing::random_dense(q, k, 3, gap)),
          weights(testing::random_dense(n, k, 4, gap)) {
        std::mt19937 random(5);
        for (std::size_t p = 0; p < negatives.indices.size(); ++p)
            counts.push_back(static_cast<std::int32_t>(random() % 4));
    }

    Parameter parameter(Result& result) const {
        Dense& value = const_cast<Dense&>(weights);  // kGradient does not change it
        return {value.view(), result.grad.view(), {}, kGradient, 0, 0, 0, false, 1, 0, 0, 0};
    }
    Result mse(int plan, int threads) const {
        Result r(q, n, k, 2);
        r.loss = mse_head(target.view(), hidden.view(), parameter(r), 0.5f, r.grad_hidden.view(), plan, threads);
        return r;
    }
    Result ns(int output, int plan, int threads) const {
        Result r(q, n, k, 2);
        r.loss = ns_head(target.pattern(), negatives.pattern(), counts.data(), hidden.view(), parameter(r), output,
                         0.5f, r.grad_hidden.view(), plan, threads);
        return r;
    }

    // The same from the dense matrix of scores: slope(u, z) returns loss and derivative of a user's row of scores.
    template <class Row>
    Result densely(const Row& row) const {
        Result r(q, n, k, 2);
        for (std::int64_t u = 0; u < q; ++u) {
            std::vector<double> z(static_cast<std::size_t>(n));
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t c = 0; c < k; ++c)
                    z[static_cast<std::size_t>(i)] += static_cast<double>(hidden.at(u, c)) * weights.at(i, c);
            r.loss += row(u, z);
            for (std::int64_t i = 0; i < n; ++i) {
                for (std::int64_t c = 0; c < k; ++c) {
                    const auto slope = static_cast<float>(0.5 * z[static_cast<std::size_t>(i)]);
                    r.grad_hidden.at(u, c) += slope * weights.at(i, c);
                    r.grad.at(i, c) += slope * hidden.at(u, c);
                }
            }
        }
        return r;
    }
    Result dense_mse() const {
        return densely([&](std::int64_t u, std::vector<double>& z) {
            const auto x = target.view();
            for (std::int64_t p = x.indptr[u]; p < x.indptr[u + 1]; ++p)
                z[static_cast<std::size_t>(x.indices[p])] -= static_cast<double>(x.values[p]);
            double loss = 0;
            for (double& e : z) {
                loss += e * e;
                e *= 2;
            }
            return loss;
        });
    }
    Result dense_ns() const {  // with the output log sigmoid
        return densely([&](std::int64_t u, std::vector<double>& z) {
            const auto r = target.pattern(), s = negatives.pattern();
            double total = 0, loss = 0;
            for (std::int64_t p = s.indptr[u]; p < s.indptr[u + 1]; ++p) total += counts[static_cast<std::size_t>(p)];
            const double weight = static_cast<double>(r.indptr[u + 1] - r.indptr[u]) / std::fmax(total, 1);
            std::vector<double> slopes(z.size());
            for (std::int64_t p = r.indptr[u]; p < r.indptr[u + 1]; ++p) {
                const auto i = static_cast<std::size_t>(r.indices[p]);
                loss += std::log1p(std::exp(-z[i]));
                slopes[i] -= 1 / (1 + std::exp(z[i]));
            }
            for (std::int64_t p = s.indptr[u]; p < s.indptr[u + 1]; ++p) {
                const auto i = static_cast<std::size_t>(s.indices[p]);
                const double factor = weight * counts[static_cast<std::size_t>(p)];
                loss += factor * std::log1p(std::exp(z[i]));
                slopes[i] += factor / (1 + std::exp(-z[i]));
            }
            z = slopes;
            return loss;
        });
    }
};

bool close(const Result& a, const Result& b) {
    if (!testing::close(a.loss, b.loss, 1e-4)) return false;
    for (std::size_t e = 0; e < a.grad_hidden.data.size(); ++e)
        if (!testing::close(a.grad_hidden.data[e], b.grad_hidden.data[e], 1e-3)) return false;
    for (std::size_t e = 0; e < a.grad.data.size(); ++e)
        if (!testing::close(a.grad.data[e], b.grad.data[e], 1e-3)) return false;
    return true;
}

const std::vector<Case>& all_cases() {
    static const std::vector<Case> cases = {{20, 30, 5, 0.3},   {1, 30, 3, 0.5},        {20, 1, 4, 0.5},
                                            {1, 1, 1, 1.0},     {0, 4, 3, 0.5},         {9, 4, 40, 0.5},
                                            {300, 40, 17, 0.1}, {13, 2000, 37, 0.05, 3}};
    return cases;
}

}  // namespace

TEST(squared_error) {
    for (const Case& c : all_cases())
        for (const int plan : {kAuto, kGram, kTiles}) CHECK(close(c.mse(plan, 2), c.dense_mse()));
}

TEST(negative_sampling) {
    for (const Case& c : all_cases())
        for (const int plan : {kAuto, kSparse, kTiles}) CHECK(close(c.ns(kLogSigmoidOutput, plan, 2), c.dense_ns()));
}

TEST(plans_of_every_output_agree) {
    for (const Case& c : all_cases())
        for (const int output : {kSigmoidOutput, kTanhOutput, kIdentityOutput})
            CHECK(close(c.ns(output, kSparse, 2), c.ns(output, kTiles, 2)));
}

TEST(without_the_gradient_of_the_hidden_units) {
    for (const Case& c : all_cases()) {
        for (const int plan : {kGram, kTiles}) {
            Result r = c.mse(plan, 1), part(c.q, c.n, c.k, 2);
            part.loss = mse_head(c.target.view(), c.hidden.view(), c.parameter(part), 0.5f, {}, plan, 2);
            CHECK(part.loss == r.loss && part.grad.data == r.grad.data);
        }
        for (const int plan : {kSparse, kTiles}) {
            Result r = c.ns(kTanhOutput, plan, 1), part(c.q, c.n, c.k, 2);
            part.loss = ns_head(c.target.pattern(), c.negatives.pattern(), c.counts.data(), c.hidden.view(),
                                c.parameter(part), kTanhOutput, 0.5f, {}, plan, 2);
            CHECK(part.loss == r.loss && part.grad.data == r.grad.data);
        }
    }
}

TEST(same_bits_for_any_number_of_threads) {
    for (const Case& c : all_cases()) {
        for (const int threads : {2, 7}) {
            for (const int plan : {kGram, kTiles}) CHECK(c.mse(plan, threads) == c.mse(plan, 1));
            for (const int plan : {kSparse, kTiles})
                CHECK(c.ns(kSigmoidOutput, plan, threads) == c.ns(kSigmoidOutput, plan, 1));
        }
    }
}

TEST(wrong_shapes_are_refused) {
    const Case c(5, 6, 3, 0.5);
    Result r(5, 6, 3), small(4, 6, 3);
    const Dense users(4, 3), wide(5, 4);
    const auto head = [&](const Dense& hidden, Matrix grad) {
        return mse_head(c.target.view(), hidden.view(), c.parameter(r), 1, grad, kAuto, 1);
    };
    CHECK_THROWS(head(users, {}), std::invalid_argument);
    CHECK_THROWS(head(wide, {}), std::invalid_argument);
    CHECK_THROWS(head(c.hidden, small.grad_hidden.view()), std::invalid_argument);
    const auto other = testing::random_csr(5, 7, 0.5, 6);
    CHECK_THROWS(ns_head(c.target.pattern(), other.pattern(), c.counts.data(), c.hidden.view(), c.parameter(r),
                         kTanhOutput, 1, {}, kAuto, 1),
                 std::invalid_argument);
}

int main() {
    testing::use_plain_blas();
    return testing::run_all();
}
