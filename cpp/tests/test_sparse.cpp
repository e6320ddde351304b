#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "check.hpp"
#include "fastautorec/philox.h"
#include "fastautorec/scalar_math.h"
#include "fastautorec/sparse_ops.hpp"
#include "matrices.hpp"

using namespace fastautorec;
using testing::Dense;

namespace {

// Widths around those of a register and a panel; rows are one element apart from a round stride.
const std::vector<std::int64_t> kWidths = {1, 2, 15, 16, 17, 31, 32, 33, 64, 100};

Dense dense_product(const CsrView& x, const Dense& weight) {
    Dense out(x.n_rows, weight.cols);
    for (std::int64_t u = 0; u < x.n_rows; ++u) {
        for (std::int64_t c = 0; c < weight.cols; ++c) {
            double sum = 0;
            for (std::int64_t p = x.indptr[u]; p < x.indptr[u + 1]; ++p) {
                sum += static_cast<double>(x.value(p)) * weight.at(x.indices[p], c);
            }
            out.at(u, c) = static_cast<float>(sum);
        }
    }
    return out;
}

Dense transposed_product(const CsrView& x, const Dense& grad) {
    std::vector<double> sums(static_cast<std::size_t>(x.n_cols * grad.cols));
    for (std::int64_t u = 0; u < x.n_rows; ++u) {
        for (std::int64_t p = x.indptr[u]; p < x.indptr[u + 1]; ++p) {
            for (std::int64_t c = 0; c < grad.cols; ++c) {
                sums[static_cast<std::size_t>(x.indices[p] * grad.cols + c)] +=
                    static_cast<double>(x.value(p)) * grad.at(u, c);
            }
        }
    }
    Dense out(x.n_cols, grad.cols);
    std::copy(sums.begin(), sums.end(), out.data.begin());
    return out;
}

bool close(const Dense& a, const Dense& b, double tolerance = 1e-5) {
    bool good = a.rows == b.rows && a.cols == b.cols;
    for (std::int64_t i = 0; good && i < a.rows; ++i) {
        for (std::int64_t c = 0; c < a.cols; ++c) good &= testing::close(a.at(i, c), b.at(i, c), tolerance);
    }
    return good;
}

// The matrix with values, its bare pattern, and rows whose storage does not start at 0.
std::vector<CsrView> views_of(const testing::Csr& x) { return {x.view(), x.pattern(), x.rows(5, x.n_rows - 3)}; }

}  // namespace

TEST(encode_is_the_product) {
    const auto x = testing::random_csr(60, 40, 0.3, 1);
    for (const std::int64_t k : kWidths) {
        const Dense weight = testing::random_dense(40, k, 2, 1);
        for (const CsrView& view : views_of(x)) {
            Dense out(view.n_rows, k, 3);
            encode(view, weight.view(), nullptr, kIdentity, out.view(), 2);
            CHECK(close(out, dense_product(view, weight)));
        }
    }
}

TEST(encode_of_few_entries_has_the_bits_of_many) {  // few are gathered without packing the weights
    const auto x = testing::random_csr(60, 400, 0.05, 19);
    for (const std::int64_t k : kWidths) {
        const Dense weight = testing::random_dense(400, k, 20, 1), bias = testing::random_dense(1, k, 21);
        Dense whole(60, k);
        encode(x.view(), weight.view(), bias.data.data(), kRelu, whole.view(), 2);
        bool same = true;
        for (std::int64_t u = 0; u < 60; ++u) {
            Dense one(1, k);
            encode(x.rows(u, u + 1), weight.view(), bias.data.data(), kRelu, one.view(), 1);
            same &= std::equal(one.data.begin(), one.data.end(), whole.data.begin() + u * k);
        }
        CHECK(same);
    }
}

TEST(encode_adds_bias_and_activates) {
    const auto x = testing::random_csr(60, 40, 0.3, 3);
    const Dense weight = testing::random_dense(40, 33, 4);
    const Dense bias = testing::random_dense(1, 33, 5);
    for (const int activation : {kIdentity, kRelu, kTanh, kSigmoid}) {
        Dense out(60, 33), expected = dense_product(x.view(), weight);
        for (std::int64_t u = 0; u < 60; ++u) {
            for (std::int64_t c = 0; c < 33; ++c) {
                expected.at(u, c) = activate(expected.at(u, c) + bias.at(0, c), activation);
            }
        }
        encode(x.view(), weight.view(), bias.data.data(), activation, out.view(), 2);
        CHECK(close(out, expected));
    }
}

TEST(encode_backward_adds_the_transposed_product) {
    const auto x = testing::random_csr(60, 40, 0.3, 6);
    for (const std::int64_t k : kWidths) {
        for (const CsrView& view : views_of(x)) {
            const Dense grad = testing::random_dense(view.n_rows, k, 7, 1);
            Dense out(40, k, 3);
            std::fill(out.data.begin(), out.data.end(), 2.0f);
            Dense expected = transposed_product(view, grad);
            for (float& value : expected.data) value += 2.0f;
            encode_backward(view, grad.view(), out.view(), true, 2);
            CHECK(close(out, expected));
            CHECK(out.data[static_cast<std::size_t>(k)] == 2.0f);  // between the rows: untouched
        }
    }
}

TEST(gram_product_is_both_products) {
    const auto x = testing::random_csr(60, 40, 0.3, 8);
    for (const std::int64_t k : kWidths) {
        const Dense block = testing::random_dense(40, k, 9, 1);
        for (const CsrView& view : views_of(x)) {
            Dense out(40, k, 3);
            gram_product(view, nullptr, nullptr, block.view(), out.view(), 2);
            CHECK(close(out, transposed_product(view, dense_product(view, block)), 1e-4));
        }
    }
}

TEST(gram_product_takes_weights_of_items_and_users) {
    const auto x = testing::random_csr(60, 40, 0.3, 8);
    const Dense of_items = testing::random_dense(1, 40, 15), of_users = testing::random_dense(1, 60, 16);
    for (const std::int64_t k : kWidths) {
        const Dense block = testing::random_dense(40, k, 9, 1);
        Dense weighted = block, out(40, k, 3);
        const auto scale = [](Matrix rows, const Dense& weights) {
            for (std::int64_t i = 0; i < rows.rows; ++i)
                for (std::int64_t c = 0; c < rows.cols; ++c)
                    rows.row(i)[c] *= weights.data[static_cast<std::size_t>(i)];
        };
        scale(weighted.view(), of_items);
        Dense hidden = dense_product(x.view(), weighted);
        scale(hidden.view(), of_users);
        Dense expected = transposed_product(x.view(), hidden);
        scale(expected.view(), of_items);
        gram_product(x.view(), of_items.data.data(), of_users.data.data(), block.view(), out.view(), 2);
        CHECK(close(out, expected, 1e-4));
    }
}

TEST(drop_entries_follows_the_stream_of_the_user) {
    const auto x = testing::random_csr(50, 40, 0.3, 10);
    const std::uint64_t seed = 0x123456789abcdefull;
    const float rate = 0.4f;
    std::vector<std::int64_t> users(50);
    std::iota(users.begin(), users.end(), std::int64_t{1} << 40);
    std::vector<float> values(x.values.size());
    drop_entries(x.view(), rate, seed, 7, users.data(), values.data(), 1);
    bool good = true;
    for (std::int64_t u = 0; u < 50; ++u) {
        for (std::int64_t p = x.indptr[u]; p < x.indptr[u + 1]; ++p) {
            const auto e = static_cast<unsigned int>(p - x.indptr[u]);
            const auto bits = philox_of_user(seed, 7, static_cast<unsigned long long>(users[u]), e / 4);
            const bool dropped = bits.word[e % 4] < static_cast<double>(rate) * 4294967296.0;
            good &= values[p] == (dropped ? 0.0f : x.values[p] * (1.0f / (1.0f - rate)));
        }
    }
    CHECK(good);

    std::vector<float> part(static_cast<std::size_t>(x.indptr[40] - x.indptr[10]));  // rows 10..40, as one tile of them
    drop_entries(x.rows(10, 40), rate, seed, 7, users.data() + 10, part.data(), 2);
    CHECK(std::equal(part.begin(), part.end(), values.begin() + x.indptr[10]));

    std::vector<float> without(values.size());  // user u has row u
    std::iota(users.begin(), users.end(), 0);
    drop_entries(x.view(), rate, seed, 7, users.data(), values.data(), 1);
    drop_entries(x.view(), rate, seed, 7, nullptr, without.data(), 2);
    CHECK(without == values);
}

TEST(same_bits_for_any_number_of_threads) {
    const auto x = testing::random_csr(3000, 200, 0.2, 11);
    const Dense weight = testing::random_dense(200, 130, 12), grad = testing::random_dense(3000, 130, 13);
    Dense hidden(3000, 130), back(200, 130), gram(200, 130);
    std::vector<float> kept(x.values.size());
    encode(x.view(), weight.view(), nullptr, kTanh, hidden.view(), 1);
    encode_backward(x.view(), grad.view(), back.view(), true, 1);
    gram_product(x.view(), nullptr, nullptr, weight.view(), gram.view(), 1);
    drop_entries(x.view(), 0.5f, 1, 2, nullptr, kept.data(), 1);
    for (const int threads : {2, 7}) {
        Dense hidden_t(3000, 130), back_t(200, 130), gram_t(200, 130);
        std::vector<float> kept_t(x.values.size());
        encode(x.view(), weight.view(), nullptr, kTanh, hidden_t.view(), threads);
        encode_backward(x.view(), grad.view(), back_t.view(), true, threads);
        gram_product(x.view(), nullptr, nullptr, weight.view(), gram_t.view(), threads);
        drop_entries(x.view(), 0.5f, 1, 2, nullptr, kept_t.data(), threads);
        CHECK(hidden_t.data == hidden.data);
        CHECK(back_t.data == back.data);
        CHECK(gram_t.data == gram.data);
        CHECK(kept_t == kept);
    }
}

TEST(empty_matrices) {
    for (const std::int64_t rows : {0, 3}) {
        testing::Csr x;
        x.n_rows = rows;
        x.n_cols = 4;
        x.indptr.assign(static_cast<std::size_t>(rows + 1), 0);
        const Dense weight = testing::random_dense(4, 5, 14), grad = testing::random_dense(rows, 5, 15);
        Dense hidden(rows, 5), back(4, 5), gram = testing::random_dense(4, 5, 16);
        encode(x.view(), weight.view(), nullptr, kRelu, hidden.view(), 2);
        encode_backward(x.view(), grad.view(), back.view(), true, 2);
        gram_product(x.view(), nullptr, nullptr, weight.view(), gram.view(), 2);
        drop_entries(x.view(), 0.5f, 0, 0, nullptr, nullptr, 2);
        for (const auto* result : {&hidden, &back, &gram}) {
            CHECK(std::all_of(result->data.begin(), result->data.end(), [](float v) { return v == 0; }));
        }
    }
    testing::Csr x = testing::random_csr(5, 4, 0.5, 17);  // no units
    const Dense weight(4, 0);
    Dense hidden(5, 0);
    encode(x.view(), weight.view(), nullptr, kRelu, hidden.view(), 2);
    CHECK(hidden.data.empty());
}

TEST(wrong_shapes_are_refused) {
    const auto x = testing::random_csr(5, 4, 0.5, 18);
    const Dense items(4, 3), few(3, 3), users(5, 3);
    Dense out_items(4, 3), out_users(5, 3);
    CHECK_THROWS(encode(x.view(), few.view(), nullptr, kRelu, out_users.view(), 1), std::invalid_argument);
    CHECK_THROWS(encode(x.view(), items.view(), nullptr, kRelu, out_items.view(), 1), std::invalid_argument);
    CHECK_THROWS(encode_backward(x.view(), items.view(), out_items.view(), true, 1), std::invalid_argument);
    CHECK_THROWS(encode_backward(x.view(), users.view(), out_users.view(), true, 1), std::invalid_argument);
    CHECK_THROWS(gram_product(x.view(), nullptr, nullptr, few.view(), out_items.view(), 1), std::invalid_argument);
    CHECK_THROWS(gram_product(x.view(), nullptr, nullptr, items.view(), out_users.view(), 1), std::invalid_argument);
}

int main() { return testing::run_all(); }
