#include "bindings.hpp"
#include "fastautorec/sparse_ops.hpp"

namespace fastautorec::bindings {

void register_sparse(py::module_& module) {
    using namespace py::literals;

    module.def(
        "encode",
        [](const py::array& indptr, const py::array& indices, const py::object& data, std::int64_t n_cols,
           const py::array& weight, const py::object& bias, int activation, const py::array& out, int num_threads) {
            const auto x = csr_view(indptr, indices, data, n_cols);
            const auto w = matrix_view<const float>(weight);
            const auto target = matrix_view<float>(out, true);
            const float* b = optional_vector(bias, w.cols, "bias must have one value for each unit");
            const GilRelease release;
            encode(x, w, b, activation, target, num_threads);
        },
        "indptr"_a, "indices"_a, "data"_a, "n_cols"_a, "weight"_a, "bias"_a, "activation"_a, "out"_a, "num_threads"_a);

    module.def(
        "encode_backward",
        [](const py::array& indptr, const py::array& indices, const py::object& data, std::int64_t n_cols,
           const py::array& grad, const py::array& out, bool accumulate, int num_threads) {
            const auto x = csr_view(indptr, indices, data, n_cols);
            const auto g = matrix_view<const float>(grad);
            const auto target = matrix_view<float>(out, true);
            const GilRelease release;
            encode_backward(x, g, target, accumulate, num_threads);
        },
        "indptr"_a, "indices"_a, "data"_a, "n_cols"_a, "grad"_a, "out"_a, "accumulate"_a, "num_threads"_a);

    module.def(
        "gram_product",
        [](const py::array& indptr, const py::array& indices, const py::object& data, std::int64_t n_cols,
           const py::object& item_weights, const py::object& user_weights, const py::array& block, const py::array& out,
           int num_threads) {
            const auto x = csr_view(indptr, indices, data, n_cols);
            const float* of_items =
                optional_vector(item_weights, n_cols, "item_weights must have one value for each item");
            const float* of_users =
                optional_vector(user_weights, x.n_rows, "user_weights must have one value for each user");
            const auto b = matrix_view<const float>(block);
            const auto target = matrix_view<float>(out, true);
            const GilRelease release;
            gram_product(x, of_items, of_users, b, target, num_threads);
        },
        "indptr"_a, "indices"_a, "data"_a, "n_cols"_a, "item_weights"_a, "user_weights"_a, "block"_a, "out"_a,
        "num_threads"_a);

    module.def(
        "drop_entries",
        [](const py::array& indptr, const py::array& indices, const py::object& data, std::int64_t n_cols, float rate,
           std::uint64_t seed, std::uint32_t epoch, const py::object& users, const py::array& out, int num_threads) {
            const auto x = csr_view(indptr, indices, data, n_cols);
            const auto values = vector_view<float>(out, true);
            require(values.size >= x.nnz(), "out must have one value for each entry");
            const std::int64_t* numbers = nullptr;
            if (!users.is_none()) {
                const auto given = vector_view<const std::int64_t>(py::cast<py::array>(users));
                require(given.size == x.n_rows, "users must have one number for each row");
                numbers = given.data;
            }
            const GilRelease release;
            drop_entries(x, rate, seed, epoch, numbers, values.data, num_threads);
        },
        "indptr"_a, "indices"_a, "data"_a, "n_cols"_a, "rate"_a, "seed"_a, "epoch"_a, "users"_a, "out"_a,
        "num_threads"_a);
}

}  // namespace fastautorec::bindings
