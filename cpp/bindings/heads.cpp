#include "bindings.hpp"
#include "fastautorec/head_ops.hpp"

namespace fastautorec::bindings {

void register_heads(py::module_& module) {
    using namespace py::literals;

    module.def(
        "mse_head",
        [](const py::array& indptr, const py::array& indices, const py::object& data, std::int64_t n_cols,
           const py::array& hidden, const py::object& decoder, float scale, const py::object& grad_hidden, int plan,
           int num_threads) {
            const auto target = csr_view(indptr, indices, data, n_cols);
            const auto h = matrix_view<const float>(hidden);
            const auto p = parameter_view(decoder);
            const auto grad = matrix_or_none(grad_hidden);
            const GilRelease release;
            return mse_head(target, h, p, scale, grad, plan, num_threads);
        },
        "indptr"_a, "indices"_a, "data"_a, "n_cols"_a, "hidden"_a, "decoder"_a, "scale"_a, "grad_hidden"_a, "plan"_a,
        "num_threads"_a);

    module.def(
        "ns_head",
        [](const py::array& indptr, const py::array& indices, const py::array& negative_indptr,
           const py::array& negative_indices, const py::array& counts, std::int64_t n_cols, const py::array& hidden,
           const py::object& decoder, int output, float scale, const py::object& grad_hidden, int plan,
           int num_threads) {
            const auto positives = csr_view(indptr, indices, py::none(), n_cols);
            const auto negatives = csr_view(negative_indptr, negative_indices, py::none(), n_cols);
            const auto drawn = vector_view<const std::int32_t>(counts);
            require(drawn.size >= negatives.indptr[negatives.n_rows], "counts must have one value for each negative");
            const auto h = matrix_view<const float>(hidden);
            const auto p = parameter_view(decoder);
            const auto grad = matrix_or_none(grad_hidden);
            const GilRelease release;
            return ns_head(positives, negatives, drawn.data, h, p, output, scale, grad, plan, num_threads);
        },
        "indptr"_a, "indices"_a, "negative_indptr"_a, "negative_indices"_a, "counts"_a, "n_cols"_a, "hidden"_a,
        "decoder"_a, "output"_a, "scale"_a, "grad_hidden"_a, "plan"_a, "num_threads"_a);
}

}  // namespace fastautorec::bindings
