#include "bindings.hpp"
#include "fastautorec/nce_ops.hpp"

namespace fastautorec::bindings {

void register_nce(py::module_& module) {
    using namespace py::literals;

    module.def(
        "count_items",
        [](const py::object& user_items, const py::array& out, int num_threads) {
            const auto x = pattern_view(user_items);
            const auto counts = vector_view<std::int64_t>(out, true);
            require(counts.size == x.n_cols, "out must have one value for each item");
            const GilRelease release;
            return count_items(x, counts.data, num_threads);
        },
        "user_items"_a, "out"_a, "num_threads"_a);

    module.def(
        "nce_transform",
        [](const py::object& user_items, double beta, bool per_interaction, const py::array& out, int num_threads) {
            const auto x = pattern_view(user_items);
            const auto values = vector_view<float>(out, true);
            require(values.size >= x.nnz(), "out must have one value for each entry");
            const GilRelease release;
            nce_transform(x, beta, per_interaction, values.data, num_threads);
        },
        "user_items"_a, "beta"_a, "per_interaction"_a, "out"_a, "num_threads"_a);
}

}  // namespace fastautorec::bindings
