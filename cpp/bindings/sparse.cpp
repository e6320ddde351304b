#include "bindings.hpp"
#include "fastautorec/sparse_ops.hpp"

namespace fastautorec::bindings {

void register_sparse(py::module_& module) {
    using namespace py::literals;

    module.def(
        "encode",
        [](const py::object& user_items, const py::array& weight, const py::object& bias, int activation,
           const py::array& out, int num_threads) {
            const auto x = csr_view(user_items);
            const auto w = matrix_view<const float>(weight);
            const auto target = matrix_view<float>(out, true);
            const float* b = optional_vector(bias, w.cols, "bias must have one value for each unit");
            const GilRelease release;
            encode(x, w, b, activation, target, num_threads);
        },
        "user_items"_a, "weight"_a, "bias"_a, "activation"_a, "out"_a, "num_threads"_a);

    module.def(
        "encode_backward",
        [](const py::object& user_items, const py::array& grad, const py::array& out, bool accumulate,
           int num_threads) {
            const auto x = csr_view(user_items);
            const auto g = matrix_view<const float>(grad);
            const auto target = matrix_view<float>(out, true);
            const GilRelease release;
            encode_backward(x, g, target, accumulate, num_threads);
        },
        "user_items"_a, "grad"_a, "out"_a, "accumulate"_a, "num_threads"_a);

    module.def(
        "gram_product",
        [](const py::object& user_items, const py::object& item_weights, const py::object& user_weights,
           const py::array& block, const py::array& out, int num_threads) {
            const auto x = csr_view(user_items);
            const float* of_items =
                optional_vector(item_weights, x.n_cols, "item_weights must have one value for each item");
            const float* of_users =
                optional_vector(user_weights, x.n_rows, "user_weights must have one value for each user");
            const auto b = matrix_view<const float>(block);
            const auto target = matrix_view<float>(out, true);
            const GilRelease release;
            gram_product(x, of_items, of_users, b, target, num_threads);
        },
        "user_items"_a, "item_weights"_a, "user_weights"_a, "block"_a, "out"_a, "num_threads"_a);

    module.def(
        "drop_entries",
        [](const py::object& user_items, float rate, std::uint64_t seed, std::uint32_t epoch, const py::array& out,
           int num_threads) {
            const auto x = csr_view(user_items);
            const auto values = vector_view<float>(out, true);
            require(values.size >= x.nnz(), "out must have one value for each entry");
            const py::object users = user_items.attr("users");
            const std::int64_t* numbers = nullptr;
            if (!users.is_none()) {
                const auto given = vector_view<const std::int64_t>(users);
                require(given.size == x.n_rows, "users must have one number for each row");
                numbers = given.data;
            }
            const GilRelease release;
            drop_entries(x, rate, seed, epoch, numbers, values.data, num_threads);
        },
        "user_items"_a, "rate"_a, "seed"_a, "epoch"_a, "out"_a, "num_threads"_a);
}

}  // namespace fastautorec::bindings
