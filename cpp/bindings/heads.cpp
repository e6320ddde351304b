#include "bindings.hpp"
#include "fastautorec/head_ops.hpp"

namespace fastautorec::bindings {

void register_heads(py::module_& module) {
    using namespace py::literals;

    module.def(
        "mse_head",
        [](const py::array& hidden, const py::object& decoder, const py::object& target, float scale,
           const py::object& grad_hidden, int plan, int num_threads) {
            const auto t = csr_view(target);
            const auto h = matrix_view<const float>(hidden);
            const auto p = parameter_view(decoder);
            const auto grad = matrix_or_none(grad_hidden);
            const GilRelease release;
            return mse_head(t, h, p, scale, grad, plan, num_threads);
        },
        "hidden"_a, "decoder"_a, "target"_a, "scale"_a, "grad_hidden"_a, "plan"_a, "num_threads"_a);

    module.def(
        "ns_head",
        [](const py::array& hidden, const py::object& decoder, const py::object& positives, const py::object& negatives,
           const py::array& counts, int out, float scale, const py::object& grad_hidden, int plan, int num_threads) {
            const auto r = pattern_view(positives), s = pattern_view(negatives);
            const auto drawn = vector_view<const std::int32_t>(counts);
            require(drawn.size >= s.indptr[s.n_rows], "counts must have one value for each negative");
            const auto h = matrix_view<const float>(hidden);
            const auto p = parameter_view(decoder);
            const auto grad = matrix_or_none(grad_hidden);
            const GilRelease release;
            return ns_head(r, s, drawn.data, h, p, out, scale, grad, plan, num_threads);
        },
        "hidden"_a, "decoder"_a, "positives"_a, "negatives"_a, "counts"_a, "out"_a, "scale"_a, "grad_hidden"_a,
        "plan"_a, "num_threads"_a);
}

}  // namespace fastautorec::bindings
