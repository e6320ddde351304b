#include <algorithm>
#include <array>

#include "bindings.hpp"
#include "fastautorec/blas.hpp"

namespace fastautorec::bindings {
namespace {

int rule_code(const std::string& name) {
    constexpr std::array<const char*, 4> names = {"gradient", "sgd", "adam", "adamw"};  // in the order of Rule
    const auto place = std::find(names.begin(), names.end(), name);
    require(place != names.end(), "unknown rule");
    return static_cast<int>(place - names.begin());
}

// The function in a capsule of scipy.linalg.cython_blas, whose name is its signature.
template <class Function>
Function blas_function(const py::capsule& capsule) {
    require(capsule.name() && std::string(capsule.name()).find("int *") != std::string::npos,
            "BLAS must have 32-bit integers");
    return reinterpret_cast<Function>(capsule.get_pointer());
}

}  // namespace

Parameter parameter_view(const py::object& parameter) {
    Parameter p{};
    p.value = matrix_view<float>(parameter.attr("value"), true);
    p.first = matrix_or_none(parameter.attr("first"));
    p.second = matrix_or_none(parameter.attr("second"));
    p.rule = rule_code(py::cast<std::string>(parameter.attr("rule")));
    p.learning_rate = py::cast<double>(parameter.attr("learning_rate"));
    p.decay = py::cast<double>(parameter.attr("decay"));
    p.bias_column = py::cast<bool>(parameter.attr("bias_column"));
    p.last_decay = py::cast<double>(parameter.attr("last_decay"));
    p.step = py::cast<std::int64_t>(parameter.attr("step"));
    p.beta1 = py::cast<double>(parameter.attr("beta1"));
    p.beta2 = py::cast<double>(parameter.attr("beta2"));
    p.epsilon = py::cast<double>(parameter.attr("epsilon"));
    return p;
}

void register_optim(py::module_& module) {
    using namespace py::literals;

    module.def(
        "use_blas",
        [](const py::capsule& sgemm, const py::capsule& ssyrk) {
            set_blas(blas_function<Sgemm>(sgemm), blas_function<Ssyrk>(ssyrk));
        },
        "sgemm"_a, "ssyrk"_a);

    module.def(
        "optimizer_step",
        [](const py::object& parameter, const py::array& grad, int num_threads) {
            const auto p = parameter_view(parameter);
            const auto g = matrix_view<const float>(grad);
            const GilRelease release;
            optimizer_step(p, g, num_threads);
        },
        "parameter"_a, "grad"_a, "num_threads"_a);

    module.def(
        "encode_backward_step",
        [](const py::object& user_items, const py::array& grad, const py::object& parameter, int num_threads) {
            const auto x = csr_view(user_items);
            const auto g = matrix_view<const float>(grad);
            const auto p = parameter_view(parameter);
            const GilRelease release;
            encode_backward_step(x, g, p, num_threads);
        },
        "user_items"_a, "grad"_a, "parameter"_a, "num_threads"_a);
}

}  // namespace fastautorec::bindings
