#include "fastautorec/head_ops.hpp"
#include "fastautorec/head_tiles.hpp"
#include "fastautorec/row_math.hpp"

namespace fastautorec {
namespace {

// What the loss asks of a stored entry: -r o for positives, w s o for negatives, w = |r_u| / |s_u|.
struct Entries {
    const CsrView& positives;
    const CsrView& negatives;
    const std::int32_t* counts;
    const double* weights;  // w of each user
    int output;
};

// Loss and derivative of one user's entries with scores z[0..size), the first `n_positive` of them positives; the
// derivatives take the place of the scores.
FASTAUTOREC_INLINE double differentiate(const Entries& of, std::int64_t u, Segment negative, std::int64_t n_positive,
                                        std::int64_t size, float* z) {
    double loss = 0;
    for (std::int64_t e = 0; e < n_positive; ++e) {
        const OutputSlope o = output_of(z[e], of.output, true);
        loss -= static_cast<double>(o.value);
        z[e] = -o.slope;
    }
    const auto weight = static_cast<float>(of.weights[u]);
    for (std::int64_t e = n_positive; e < size; ++e) {
        const OutputSlope o = output_of(z[e], of.output, false);
        const float factor = weight * static_cast<float>(of.counts[negative.start + e - n_positive]);
        loss += static_cast<double>(factor) * static_cast<double>(o.value);
        z[e] = factor * o.slope;
    }
    return loss;
}

FASTAUTOREC_CLONES double visit_entries(const Entries& of, std::int64_t first, std::int64_t last, ConstMatrix hidden,
                                        ConstMatrix weights, float* z, Matrix grad, Matrix sum) {
    const std::int64_t k = hidden.cols;
    double loss = 0;
    for (std::int64_t u = 0; u < hidden.rows; ++u) {
        const Segment positive = segment_of(of.positives, u, first, last),
                      negative = segment_of(of.negatives, u, first, last);
        const Segment segments[2] = {positive, negative};
        const std::int32_t* ids[2] = {of.positives.indices, of.negatives.indices};
        const float* h = hidden.row(u);
        std::int64_t size = 0;
        for (int list = 0; list < 2; ++list)
            for (std::int64_t p = segments[list].start; p < segments[list].stop; ++p)
                z[size++] = dot(weights.row(ids[list][p]), h, k);
        loss += differentiate(of, u, negative, positive.stop - positive.start, size, z);
        size = 0;
        for (int list = 0; list < 2; ++list) {
            for (std::int64_t p = segments[list].start; p < segments[list].stop; ++p) {
                const float dz = z[size++];
                if (sum.data) add_scaled(dz, weights.row(ids[list][p]), k, sum.row(u));
                add_scaled(dz, h, k, grad.row(ids[list][p] - first));
            }
        }
    }
    return loss;
}

double by_entries(const Entries& of, ConstMatrix hidden, const Parameter& decoder, float factor, Matrix grad_hidden,
                  int num_threads) {
    const Update update(decoder);
    const std::int64_t k = hidden.cols;
    const ItemTiles tiles(decoder.value.rows, k);
    return over_tiles(
        tiles, grad_hidden, factor, num_threads, [&](std::int64_t first, std::int64_t last, Matrix sum, bool fresh) {
            const std::int64_t rows = last - first;
            const Scratch memory(rows * k), scores(2 * rows);
            const Matrix grad{memory.data(), rows, k, k};
            std::fill_n(grad.data, rows * k, 0.0f);
            if (sum.data && fresh) std::fill_n(sum.data, sum.rows * k, 0.0f);
            const double loss =
                visit_entries(of, first, last, hidden, read_only(decoder.value), scores.data(), grad, sum);
            update.rows(first, read_only(grad), factor);
            return loss;
        });
}

// Reads scores of items first..last, one row for each, and adds the derivatives to slopes (all zero).
FASTAUTOREC_CLONES double differentiate_tile(const Entries& of, std::int64_t first, std::int64_t last,
                                             ConstMatrix scores, float* z, Matrix slopes) {
    double loss = 0;
    for (std::int64_t u = 0; u < scores.cols; ++u) {
        const Segment positive = segment_of(of.positives, u, first, last),
                      negative = segment_of(of.negatives, u, first, last);
        const Segment segments[2] = {positive, negative};
        const std::int32_t* ids[2] = {of.positives.indices, of.negatives.indices};
        std::int64_t size = 0;
        for (int list = 0; list < 2; ++list)
            for (std::int64_t p = segments[list].start; p < segments[list].stop; ++p)
                z[size++] = scores.row(ids[list][p] - first)[u];
        loss += differentiate(of, u, negative, positive.stop - positive.start, size, z);
        size = 0;
        for (int list = 0; list < 2; ++list)
            for (std::int64_t p = segments[list].start; p < segments[list].stop; ++p)
                slopes.row(ids[list][p] - first)[u] += z[size++];
    }
    return loss;
}

double by_tiles(const Entries& of, ConstMatrix hidden, const Parameter& decoder, float factor, Matrix grad_hidden,
                int num_threads) {
    const Update update(decoder);
    const std::int64_t q = hidden.rows, k = hidden.cols;
    const ItemTiles tiles(decoder.value.rows, std::max(q, k));
    return over_tiles(
        tiles, grad_hidden, factor, num_threads, [&](std::int64_t first, std::int64_t last, Matrix sum, bool fresh) {
            const std::int64_t rows = last - first;
            const Scratch score_memory(rows * q), slope_memory(rows * q), grad_memory(rows * k), entries(2 * rows);
            const Matrix scores{score_memory.data(), rows, q, q}, slopes{slope_memory.data(), rows, q, q};
            const Matrix grad{grad_memory.data(), rows, k, k};
            const ConstMatrix weights = read_only(rows_of(decoder.value, first, last));
            multiply(Op::kAsIs, Op::kTransposed, 1.0f, weights, hidden, 0.0f, scores);
            std::fill_n(slopes.data, rows * q, 0.0f);
            const double loss = differentiate_tile(of, first, last, read_only(scores), entries.data(), slopes);
            if (sum.data)
                multiply(Op::kTransposed, Op::kAsIs, 1.0f, read_only(slopes), weights, fresh ? 0.0f : 1.0f, sum);
            multiply(Op::kAsIs, Op::kAsIs, 1.0f, read_only(slopes), hidden, 0.0f, grad);
            update.rows(first, read_only(grad), factor);
            return loss;
        });
}

// |r_u| / |s_u|, and |r_u| without negatives.
std::vector<double> weights_of_users(const CsrView& positives, const CsrView& negatives, const std::int32_t* counts) {
    std::vector<double> weights(static_cast<std::size_t>(positives.n_rows));
    for (std::int64_t u = 0; u < positives.n_rows; ++u) {
        const std::int64_t total =
            std::accumulate(counts + negatives.indptr[u], counts + negatives.indptr[u + 1], std::int64_t{0});
        const std::int64_t own = positives.indptr[u + 1] - positives.indptr[u];
        weights[static_cast<std::size_t>(u)] =
            static_cast<double>(own) / static_cast<double>(std::max<std::int64_t>(total, 1));
    }
    return weights;
}

bool tiles_are_cheaper(std::int64_t entries, std::int64_t users, std::int64_t items) {
    return static_cast<double>(entries) * 4 > static_cast<double>(users) * static_cast<double>(items);
}

}  // namespace

double ns_head(const CsrView& positives, const CsrView& negatives, const std::int32_t* counts, ConstMatrix hidden,
               const Parameter& decoder, int output, float scale, Matrix grad_hidden, int plan, int num_threads) {
    require_shapes(positives, hidden, decoder, grad_hidden);
    require(negatives.n_rows == positives.n_rows && negatives.n_cols == positives.n_cols,
            "ns_head: negatives must have the shape of positives");
    const std::vector<double> weights = weights_of_users(positives, negatives, counts);
    const Entries of{positives, negatives, counts, weights.data(), output};
    const std::int64_t entries = positives.nnz() + negatives.nnz();
    const bool tiles = plan == kTiles || (plan != kSparse && tiles_are_cheaper(entries, hidden.rows, positives.n_cols));
    return (tiles ? by_tiles : by_entries)(of, hidden, decoder, scale, grad_hidden, num_threads);
}

}  // namespace fastautorec
