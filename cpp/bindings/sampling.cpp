#include "bindings.hpp"
#include "fastautorec/sampling_ops.hpp"

namespace fastautorec::bindings {
namespace {

// Of a fastautorec._compute.sampling.Sampler.
SamplerView sampler_view(const py::object& sampler) {
    SamplerView view{};
    view.n_samples = py::cast<std::int64_t>(sampler.attr("n_samples"));
    view.cdf = vector_view<const std::uint64_t>(sampler.attr("cdf"));
    view.guide = vector_view<const std::int32_t>(sampler.attr("guide"));
    const py::object counts = sampler.attr("counts");
    if (!counts.is_none()) {
        view.table = vector_view<const std::int32_t>(counts.attr("table"));
        view.last = vector_view<const std::uint32_t>(counts.attr("last"));
        view.base = vector_view<const std::int64_t>(counts.attr("base"));
        view.table_guide = matrix_view<const std::int32_t>(counts.attr("guide"));
    }
    return view;
}

}  // namespace

void register_sampling(py::module_& module) {
    using namespace py::literals;

    module.def(
        "sample_negatives",
        [](const py::object& sampler, const py::array& users, const py::object& exclude, std::uint64_t seed,
           std::uint32_t epoch, const py::array& indptr, const py::array& ids, const py::array& counts,
           int num_threads) {
            const auto tables = sampler_view(sampler);
            const auto u = vector_view<const std::int64_t>(users);
            const auto left_out = pattern_view(exclude);
            const auto pointers = vector_view<std::int64_t>(indptr, true);
            const auto i = vector_view<std::int32_t>(ids, true), c = vector_view<std::int32_t>(counts, true);
            require(pointers.size == u.size + 1, "indptr must have one entry more than users");
            const GilRelease release;
            sample_negatives(tables, u, left_out.indptr ? &left_out : nullptr, seed, epoch, pointers.data, i, c,
                             num_threads);
        },
        "sampler"_a, "users"_a, "exclude"_a, "seed"_a, "epoch"_a, "indptr"_a, "ids"_a, "counts"_a, "num_threads"_a);
}

}  // namespace fastautorec::bindings
