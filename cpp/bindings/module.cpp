#include "bindings.hpp"

// Every function releases the GIL while it works and keeps no Python state. `mod_gil_not_used` would declare that a
// Python without a GIL may stay without it; that waits for tests on one.
PYBIND11_MODULE(_core, module) {
    module.doc() = "Native operations of fastautorec; private, used by the cpu backend only.";
    fastautorec::bindings::register_dense(module);
    fastautorec::bindings::register_sparse(module);
    fastautorec::bindings::register_nce(module);
    fastautorec::bindings::register_rank(module);
    fastautorec::bindings::register_heads(module);
    fastautorec::bindings::register_optim(module);
    fastautorec::bindings::register_sampling(module);
    fastautorec::bindings::register_runtime(module);
}
