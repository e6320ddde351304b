#include "bindings.hpp"
#include "fastautorec/rank_ops.hpp"

namespace fastautorec::bindings {

void register_rank(py::module_& module) {
    using namespace py::literals;

    module.def(
        "top_items",
        [](const py::array& scores, const py::object& exclude, std::int64_t first_item, const py::array& ids,
           const py::array& best, int num_threads) {
            const auto s = matrix_view<const float>(scores);
            const auto i = matrix_view<std::int32_t>(ids, true);
            const auto b = matrix_view<float>(best, true);
            const auto left_out = pattern_view(exclude);
            const GilRelease release;
            top_items(s, left_out.indptr ? &left_out : nullptr, first_item, i, b, num_threads);
        },
        "scores"_a, "exclude"_a, "first_item"_a, "ids"_a, "best"_a, "num_threads"_a);

    module.def(
        "scaled_top_items",
        [](const py::array& scores, const py::array& factors, const py::object& exclude, std::int64_t first_item,
           const py::array& ids, const py::array& best, int num_threads) {
            const auto s = matrix_view<const float>(scores);
            const auto f = matrix_view<const float>(factors);
            const auto i = matrix_view<std::int32_t>(ids, true);
            const auto b = matrix_view<float>(best, true);
            const auto left_out = pattern_view(exclude);
            const GilRelease release;
            scaled_top_items(s, f, left_out.indptr ? &left_out : nullptr, first_item, i, b, num_threads);
        },
        "scores"_a, "factors"_a, "exclude"_a, "first_item"_a, "ids"_a, "best"_a, "num_threads"_a);

    module.def(
        "find_ranks",
        [](const py::array& ids, const py::object& test, const py::array& lengths, const py::array& starts,
           const py::array& out, int num_threads) {
            const auto i = matrix_view<const std::int32_t>(ids);
            const auto wanted = pattern_view(test);
            const auto places = vector_view<const std::int32_t>(lengths);
            const auto first = vector_view<const std::int64_t>(starts);
            const auto o = vector_view<std::int32_t>(out, true);
            require(places.size == i.rows && first.size == i.rows,
                    "lengths and starts must have one value for each row");
            const GilRelease release;
            find_ranks(i, wanted, places.data, first.data, o, num_threads);
        },
        "ids"_a, "test"_a, "lengths"_a, "starts"_a, "out"_a, "num_threads"_a);

    module.def(
        "ranking_metrics",
        [](const py::array& ids, const py::object& test, const py::array& cutoffs, bool paper, const py::array& out,
           int num_threads) {
            const auto i = matrix_view<const std::int32_t>(ids);
            const auto wanted = pattern_view(test);
            const auto k = vector_view<const std::int64_t>(cutoffs);
            const auto o = matrix_view<double>(out, true);
            const GilRelease release;
            ranking_metrics(i, wanted, k.data, k.size, paper ? Definition::kPaper : Definition::kStandard, o,
                            num_threads);
        },
        "ids"_a, "test"_a, "cutoffs"_a, "paper"_a, "out"_a, "num_threads"_a);
}

}  // namespace fastautorec::bindings
