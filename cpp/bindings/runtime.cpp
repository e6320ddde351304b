#include "bindings.hpp"
#include "fastautorec/blas_regions.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/simd.hpp"

namespace fastautorec::bindings {
namespace {

// Runs Python's signal handlers (Ctrl-C) on behalf of the core, which works without the GIL. Python itself decides
// that only its main thread handles signals.
bool signal_pending() {
    const GilAcquire gil;
    return PyErr_CheckSignals() != 0;
}

// A context manager. Python looks for signals between its own instructions, and none of them comes between the work of
// `__enter__` and the block, or after the block and before `__exit__`: an interrupt cannot leave BLAS limited.
struct SingleThreadedBlas {};

void enter(const SingleThreadedBlas&) {
    if (enter_region()) return;
    PyEval_SaveThread();
    park();
}

}  // namespace

void register_runtime(py::module_& module) {
    using namespace py::literals;

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

    py::class_<SingleThreadedBlas>(module, "SingleThreadedBlas")
        .def(py::init<>())
        .def("__enter__", &enter)
        .def("__exit__", [](const SingleThreadedBlas&, const py::args&) { leave_region(); });
    module.def(
        "add_blas",
        [](std::uintptr_t getter, std::uintptr_t setter, bool per_thread) {
            add_blas(
                {reinterpret_cast<int (*)()>(getter), reinterpret_cast<void (*)(std::int64_t)>(setter), per_thread});
        },
        "getter"_a, "setter"_a, "per_thread"_a);
    module.def("renew_regions", &renew_regions);
    module.def(
        "close_regions",
        [](double seconds) {
            const GilRelease release;
            return close_regions(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
        },
        "seconds"_a);
}

}  // namespace fastautorec::bindings
