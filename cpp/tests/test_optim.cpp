#include <cmath>
#include <stdexcept>

#include "check.hpp"
#include "fastautorec/optim_ops.hpp"
#include "matrices.hpp"

using namespace fastautorec;
using testing::Dense;

namespace {

struct State {
    Dense value, first, second;

    State(std::int64_t n, std::int64_t k, std::int64_t gap)
        : value(testing::random_dense(n, k, 1, gap)),
          first(testing::random_dense(n, k, 2, gap)),
          second(testing::random_dense(n, k, 3, gap)) {
        for (float& v : second.data) v *= v;
    }
    Parameter parameter(int rule, std::int64_t step = 3) {
        return {value.view(), first.view(), second.view(), rule, 0.1, 0.2, 0.3, true, step, 0.9, 0.99, 1e-6};
    }
};

// One weight by the formulas of torch.optim, in double precision.
void step_weight(const Parameter& p, double decay, double g, double& w, double& m, double& v) {
    if (p.rule == kGradient) {
        m = g;
        return;
    }
    if (p.rule == kAdamW) w *= 1 - p.learning_rate * decay;
    if (p.rule != kAdamW) g += decay * w;
    if (p.rule == kSgd) {
        m = p.step == 1 ? g : p.beta1 * m + g;
        w -= p.learning_rate * m;
        return;
    }
    m = p.beta1 * m + (1 - p.beta1) * g;
    v = p.beta2 * v + (1 - p.beta2) * g * g;
    const double t = static_cast<double>(p.step);
    w -= p.learning_rate * m / (1 - std::pow(p.beta1, t)) / (std::sqrt(v / (1 - std::pow(p.beta2, t))) + p.epsilon);
}

bool same(const State& a, const State& b) {
    return a.value.data == b.value.data && a.first.data == b.first.data && a.second.data == b.second.data;
}

}  // namespace

TEST(formulas) {
    for (const int rule : {kGradient, kSgd, kAdam, kAdamW}) {
        for (const std::int64_t step : {1, 2, 10}) {
            for (const std::int64_t k : {1, 16, 33}) {
                const Dense grad = testing::random_dense(5, k, 4, 2);
                State state(5, k, 3), old(5, k, 3);
                const Parameter p = state.parameter(rule, step);
                optimizer_step(p, grad.view(), 1);
                bool good = true;
                for (std::int64_t i = 0; i < 5; ++i) {
                    for (std::int64_t c = 0; c < k; ++c) {
                        double w = old.value.at(i, c), m = old.first.at(i, c), v = old.second.at(i, c);
                        step_weight(p, c == k - 1 ? p.last_decay : p.decay, grad.at(i, c), w, m, v);
                        good &= testing::close(state.value.at(i, c), w, 1e-5);
                        good &= testing::close(state.first.at(i, c), m, 1e-5);
                        good &= testing::close(state.second.at(i, c), v, 1e-5);
                    }
                }
                CHECK(good);
            }
        }
    }
}

TEST(sgd_without_momentum) {
    const Dense grad = testing::random_dense(4, 19, 5);
    State state(4, 19, 0), old(4, 19, 0);
    Parameter p = state.parameter(kSgd);
    p.first = p.second = Matrix{};
    optimizer_step(p, grad.view(), 1);
    bool good = true;
    for (std::int64_t i = 0; i < 4; ++i)
        for (std::int64_t c = 0; c < 19; ++c)
            good &= testing::close(
                state.value.at(i, c),
                old.value.at(i, c) - 0.1 * (grad.at(i, c) + (c == 18 ? 0.3 : 0.2) * old.value.at(i, c)), 1e-6);
    CHECK(good);
}

TEST(gradient_of_an_encoder) {
    const auto x = testing::random_csr(300, 700, 0.05, 6);
    for (const std::int64_t k : {1, 17, 100, 201}) {
        const Dense grad = testing::random_dense(300, k, 7, 1);
        State stepped(700, k, 2), expected(700, k, 2);
        Dense product(700, k);
        for (std::int64_t u = 0; u < 300; ++u)
            for (std::int64_t p = x.indptr[static_cast<std::size_t>(u)]; p < x.indptr[static_cast<std::size_t>(u + 1)];
                 ++p)
                for (std::int64_t c = 0; c < k; ++c)
                    product.at(x.indices[static_cast<std::size_t>(p)], c) +=
                        x.values[static_cast<std::size_t>(p)] * grad.at(u, c);
        encode_backward_step(x.view(), grad.view(), stepped.parameter(kAdam), 2);
        optimizer_step(expected.parameter(kAdam), read_only(product.view()), 1);
        bool good = true;
        for (std::size_t e = 0; e < stepped.value.data.size(); ++e)
            good &= testing::close(stepped.value.data[e], expected.value.data[e], 1e-4);
        CHECK(good);
    }
}

TEST(same_bits_for_any_number_of_threads) {
    const auto x = testing::random_csr(200, 3000, 0.05, 8);
    const Dense grad = testing::random_dense(3000, 40, 9), users = testing::random_dense(200, 40, 10);
    for (const int rule : {kSgd, kAdam}) {
        State one(3000, 40, 0);
        optimizer_step(one.parameter(rule), grad.view(), 1);
        encode_backward_step(x.pattern(), users.view(), one.parameter(rule, 4), 1);
        for (const int threads : {2, 7}) {
            State other(3000, 40, 0);
            optimizer_step(other.parameter(rule), grad.view(), threads);
            encode_backward_step(x.pattern(), users.view(), other.parameter(rule, 4), threads);
            CHECK(same(one, other));
        }
    }
}

TEST(empty) {
    for (const auto& [n, k] : {std::pair{0, 3}, std::pair{3, 0}}) {
        State state(n, k, 0);
        const Dense grad(n, k);
        optimizer_step(state.parameter(kAdam), grad.view(), 2);
        CHECK(state.value.data.empty());
    }
}

TEST(wrong_arguments_are_refused) {
    State state(4, 3, 0);
    const Dense grad(4, 2), good(4, 3);
    const auto x = testing::random_csr(5, 4, 0.5, 11);
    CHECK_THROWS(optimizer_step(state.parameter(kAdam), grad.view(), 1), std::invalid_argument);
    CHECK_THROWS(optimizer_step(state.parameter(kAdam, 0), good.view(), 1), std::invalid_argument);
    CHECK_THROWS(encode_backward_step(x.view(), good.view(), state.parameter(kAdam), 1), std::invalid_argument);
    Parameter p = state.parameter(kAdam);
    p.second = Matrix{};
    CHECK_THROWS(optimizer_step(p, good.view(), 1), std::invalid_argument);
    p = state.parameter(kGradient);
    p.first = Matrix{};
    CHECK_THROWS(optimizer_step(p, good.view(), 1), std::invalid_argument);
}

int main() { return testing::run_all(); }
