#include "bindings.hpp"
#include "fastautorec/rank_ops.hpp"
#include "fastautorec/scan_items.hpp"

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

    module.def("code_kernel", &code_kernel);

    module.def(
        "encode_items",
        [](const py::array& rows, const py::array& codes, const py::array& facts, const py::array& longest,
           const py::array& order, int num_threads) {
            const auto r = matrix_view<const float>(rows);
            const NewItemCodes out{matrix_view<std::uint8_t>(codes, true), matrix_view<float>(facts, true),
                                   vector_view<float>(longest, true), matrix_view<std::int32_t>(order, true)};
            const GilRelease release;
            return encode_items(r, out, num_threads);
        },
        "rows"_a, "codes"_a, "facts"_a, "longest"_a, "order"_a, "num_threads"_a);

    module.def(
        "scan_items",
        [](const py::array& a, const py::array& b, const py::array& codes, const py::array& facts,
           const py::array& longest, const py::array& order, const py::object& exclude, const py::array& masked,
           const py::array& borders, const py::array& ids, const py::array& best, int num_threads) {
            const auto left = matrix_view<const float>(a);
            const auto right = matrix_view<const float>(b);
            const ItemCodes coded{matrix_view<const std::uint8_t>(codes), matrix_view<const float>(facts),
                                  vector_view<const float>(longest), matrix_view<const std::int32_t>(order)};
            const auto left_out = pattern_view(exclude);
            const auto never = vector_view<const std::int32_t>(masked);
            const auto ends = vector_view<const std::int64_t>(borders);
            const auto i = matrix_view<std::int32_t>(ids, true);
            const auto t = matrix_view<float>(best, true);
            for (std::int64_t m = 0; m < never.size; ++m)
                require(never.data[m] >= 0 && never.data[m] < right.rows, "masked ids must be rows of b");
            const GilRelease release;
            return scan_items(left, right, coded, left_out.indptr ? &left_out : nullptr, never, ends, i, t,
                              num_threads);
        },
        "a"_a, "b"_a, "codes"_a, "facts"_a, "longest"_a, "order"_a, "exclude"_a, "masked"_a, "borders"_a, "ids"_a,
        "best"_a, "num_threads"_a);

    module.def(
        "chain_products",
        [](const py::array& a, const py::array& b, const py::array& listed, const py::array& borders,
           const py::array& out) {
            const auto left = matrix_view<const float>(a);
            const auto right = matrix_view<const float>(b);
            const auto rows = vector_view<const std::int32_t>(listed);
            const auto ends = vector_view<const std::int64_t>(borders);
            const auto o = matrix_view<float>(out, true);
            for (std::int64_t i = 0; i < rows.size; ++i)
                require(rows.data[i] >= 0 && rows.data[i] < right.rows, "listed ids must be rows of b");
            require(left.cols == right.cols && o.rows == left.rows && o.cols == rows.size,
                    "chain_products: shapes do not match");
            const GilRelease release;
            for (std::int64_t i = 0; i < left.rows; ++i)
                chain_products(left.row(i), right, rows.data, rows.size, ends, o.row(i));
        },
        "a"_a, "b"_a, "listed"_a, "borders"_a, "out"_a);

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
