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

// Scores, losses and derivatives of the stored entries of a run of items. `z` and `rows` have a place for each entry
// that one user may have there.
FASTAUTOREC_CLONES double visit_entries(const Entries& of, std::int64_t first, std::int64_t last, ConstMatrix hidden,
                                        ConstMatrix weights, float* z, const float** rows, Matrix grad, Matrix sum) {
    const std::int64_t k = hidden.cols;
    const std::int32_t* const ids[2] = {of.positives.indices, of.negatives.indices};
    double loss = 0;
    for (std::int64_t u = 0; u < hidden.rows; ++u) {
        const Segment segments[2] = {segment_of(of.positives, u, first, last),
                                     segment_of(of.negatives, u, first, last)};
        const float* h = hidden.row(u);
        std::int64_t size = 0;
        for (int list = 0; list < 2; ++list)
            for (std::int64_t p = segments[list].start; p < segments[list].stop; ++p)
                rows[size++] = weights.row(ids[list][p]);
        std::int64_t e = 0;
        for (; e + 4 <= size; e += 4) four_dots(rows + e, h, k, z + e);
        for (; e < size; ++e) z[e] = dot(rows[e], h, k);
        loss += differentiate(of, u, segments[1], segments[0].stop - segments[0].start, size, z);
        if (sum.data) {
            for (e = 0; e + 4 <= size; e += 4) add_four_scaled(z + e, rows + e, k, sum.row(u));
            for (; e < size; ++e) add_scaled(z[e], rows[e], k, sum.row(u));
        }
        e = 0;
        for (int list = 0; list < 2; ++list)
            for (std::int64_t p = segments[list].start; p < segments[list].stop; ++p)
                add_scaled(z[e++], h, k, grad.row(ids[list][p] - first));
    }
    return loss;
}

double by_entries(const Entries& of, ConstMatrix hidden, const Parameter& decoder, float factor, Matrix grad_hidden,
                  int num_threads) {
    const Update update(decoder);
    const ItemTiles tiles(decoder.value.rows, hidden.cols);
    return over_tiles(tiles, grad_hidden, factor, num_threads,
                      [&](std::int64_t first, std::int64_t last, Matrix sum, bool fresh) {
                          const ScratchMatrix grad(last - first, hidden.cols);
                          const Scratch scores(2 * (last - first)), rows(4 * (last - first));
                          grad.clear();
                          if (sum.data && fresh) std::fill_n(sum.data, sum.rows * sum.stride, 0.0f);
                          const double loss = visit_entries(of, first, last, hidden, read_only(decoder.value),
                                                            scores.data(), rows.as<const float*>(), grad, sum);
                          update.rows(first, grad, factor);
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
    return over_tiles(tiles, grad_hidden, factor, num_threads,
                      [&](std::int64_t first, std::int64_t last, Matrix sum, bool fresh) {
                          const std::int64_t rows = last - first;
                          const ScratchMatrix scores(rows, q), slopes(rows, q), grad(rows, k);
                          const Scratch entries(2 * rows);
                          const ConstMatrix weights = read_only(rows_of(decoder.value, first, last));
                          multiply(Op::kAsIs, Op::kTransposed, 1.0f, weights, hidden, 0.0f, scores);
                          slopes.clear();
                          const double loss = differentiate_tile(of, first, last, scores, entries.data(), slopes);
                          if (sum.data)
                              multiply(Op::kTransposed, Op::kAsIs, 1.0f, slopes, weights, fresh ? 0.0f : 1.0f, sum);
                          multiply(Op::kAsIs, Op::kAsIs, 1.0f, slopes, hidden, 0.0f, grad);
                          update.rows(first, grad, factor);
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

// As measured: from a fifth of all scores on.
bool tiles_are_cheaper(std::int64_t entries, std::int64_t users, std::int64_t items) {
    return static_cast<double>(entries) * 5 > static_cast<double>(users) * static_cast<double>(items);
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
