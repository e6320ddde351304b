#include "bindings.hpp"
#include "fastautorec/dense_ops.hpp"

namespace fastautorec::bindings {

void register_dense(py::module_& module) {
    using namespace py::literals;

    module.def(
        "multiply_few_rows",
        [](const py::array& a, const py::array& b, const py::array& out, int num_threads) {
            const auto left = matrix_view<const float>(a);
            const auto right = matrix_view<const float>(b);
            const auto product = matrix_view<float>(out, true);
            const GilRelease release;
            multiply_few_rows(left, right, product, num_threads);
        },
        "a"_a, "b"_a, "out"_a, "num_threads"_a);
}

}  // namespace fastautorec::bindings
