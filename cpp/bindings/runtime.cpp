#include "bindings.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/simd.hpp"

namespace fastautorec::bindings {
namespace {

// Runs Python's signal handlers (Ctrl-C) on behalf of the core, which works without the GIL. Python itself decides
// that only its main thread handles signals.
bool signal_pending() {
    py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
}

}  // namespace

void register_runtime(py::module_& module) {
    set_interrupt_check(&signal_pending);
    py::register_exception_translator([](std::exception_ptr error) {
        try {
            if (error) std::rethrow_exception(error);
        } catch (const Interrupted& e) {
            // signal_pending has set the handler's exception already, unless the pool was stopped in some other way
            if (!PyErr_Occurred()) PyErr_SetString(PyExc_KeyboardInterrupt, e.what());
        }
    });
    module.def("simd_level", &simd_level);
}

}  // namespace fastautorec::bindings
