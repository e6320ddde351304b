#include "bindings.hpp"
#include "fastautorec/sampling_ops.hpp"

namespace fastautorec::bindings {

void register_sampling(py::module_& module) {
    using namespace py::literals;

    module.def(
        "sample_negatives",
        [](std::int64_t n_samples, const py::array& cdf, const py::array& guide, const py::object& table,
           const py::object& last, const py::object& base, const py::object& table_guide, const py::array& users,
           const py::object& exclude_indptr, const py::object& exclude_indices, std::uint64_t seed, std::uint32_t epoch,
           const py::array& indptr, const py::array& ids, const py::array& counts, int num_threads) {
            SamplerView sampler{};
            sampler.n_samples = n_samples;
            sampler.cdf = vector_view<const std::uint64_t>(cdf);
            sampler.guide = vector_view<const std::int32_t>(guide);
            if (!table.is_none()) {
                sampler.table = vector_view<const std::int32_t>(py::cast<py::array>(table));
                sampler.last = vector_view<const std::uint32_t>(py::cast<py::array>(last));
                sampler.base = vector_view<const std::int64_t>(py::cast<py::array>(base));
                sampler.table_guide = matrix_view<const std::int32_t>(py::cast<py::array>(table_guide));
            }
            CsrView exclude{};
            const bool excludes = !exclude_indptr.is_none();
            if (excludes)
                exclude = csr_view(py::cast<py::array>(exclude_indptr), py::cast<py::array>(exclude_indices),
                                   py::none(), sampler.cdf.size);
            const auto u = vector_view<const std::int64_t>(users);
            const auto pointers = vector_view<std::int64_t>(indptr, true);
            const auto i = vector_view<std::int32_t>(ids, true), c = vector_view<std::int32_t>(counts, true);
            require(pointers.size == u.size + 1, "indptr must have one entry more than users");
            const GilRelease release;
            sample_negatives(sampler, u, excludes ? &exclude : nullptr, seed, epoch, pointers.data, i, c, num_threads);
        },
        "n_samples"_a, "cdf"_a, "guide"_a, "table"_a, "last"_a, "base"_a, "table_guide"_a, "users"_a,
        "exclude_indptr"_a, "exclude_indices"_a, "seed"_a, "epoch"_a, "indptr"_a, "ids"_a, "counts"_a, "num_threads"_a);
}

}  // namespace fastautorec::bindings
