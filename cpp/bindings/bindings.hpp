// Conversions between NumPy arrays and the views of the core. Arrays are never copied or cast: a wrong dtype is an
// error.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <string>
#include <thread>
#include <type_traits>

#include "fastautorec/check.hpp"
#include "fastautorec/optim_ops.hpp"
#include "fastautorec/views.hpp"

namespace fastautorec::bindings {

namespace py = pybind11;

// Where a thread stays that must neither go on nor end. Without the GIL.
[[noreturn]] inline void park() noexcept {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

// Gives the GIL away while it lives. A Python that is about to end lets no other thread have it again: before 3.14 it
// ends the thread by unwinding its stack, which no C++ frame between here and Python expects. Such a thread is parked.
class GilRelease {
   public:
    GilRelease() : state_(PyEval_SaveThread()) {}
    GilRelease(const GilRelease&) = delete;
    GilRelease& operator=(const GilRelease&) = delete;
    ~GilRelease() {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {  // nothing but that unwinding comes out of C
            park();
        }
    }

   private:
    PyThreadState* state_;
};

// The other way: has the GIL while it lives, in a thread that gave it away.
class GilAcquire {
   public:
    GilAcquire() {
        try {
            state_ = PyGILState_Ensure();
        } catch (...) {
            park();
        }
    }
    GilAcquire(const GilAcquire&) = delete;
    GilAcquire& operator=(const GilAcquire&) = delete;
    ~GilAcquire() { PyGILState_Release(state_); }

   private:
    PyGILState_STATE state_;
};

template <class T>
T* pointer(const py::array& array, bool writeable) {
    if (!py::isinstance<py::array_t<T>>(array))
        throw py::type_error("array has dtype " + std::string(py::str(array.dtype())) + ", expected " +
                             std::string(py::str(py::dtype::of<T>())));
    require(!writeable || array.writeable(), "output array is read-only");
    return static_cast<T*>(const_cast<void*>(array.data()));
}

template <class T>
VectorView<T> vector_view(const py::object& given, bool writeable = false) {
    const auto array = py::cast<py::array>(given);
    require(array.ndim() == 1, "array must have one dimension");
    require(array.shape(0) < 2 || array.strides(0) == array.itemsize(), "vector must be contiguous");
    return {pointer<std::remove_const_t<T>>(array, writeable), array.shape(0)};
}

template <class T>
MatrixView<T> matrix_view(const py::object& given, bool writeable = false) {
    const auto array = py::cast<py::array>(given);
    require(array.ndim() == 2, "array must have two dimensions");
    const bool empty = array.size() == 0;  // NumPy gives such arrays any strides
    require(empty || array.shape(1) < 2 || array.strides(1) == array.itemsize(), "rows must be contiguous");
    const auto stride = empty || array.shape(0) < 2 ? array.shape(1) : array.strides(0) / array.itemsize();
    require(empty || array.shape(0) < 2 || (array.strides(0) % array.itemsize() == 0 && stride >= array.shape(1)),
            "rows must not overlap");
    return {pointer<std::remove_const_t<T>>(array, writeable), array.shape(0), array.shape(1), stride};
}

// The values of a vector that may be None; `what` says what it has to have one value for.
inline const float* optional_vector(const py::object& given, std::int64_t size, const char* what) {
    if (given.is_none()) return nullptr;
    const auto values = vector_view<const float>(given);
    require(values.size == size, what);
    return values.data;
}

// A matrix that may be None, which has no data.
inline Matrix matrix_or_none(const py::object& array) {
    return array.is_none() ? Matrix{} : matrix_view<float>(array, true);
}

// The name of an attribute, made once: made at each call, the names cost more than the smallest operations.
inline py::handle interned(const char* name) { return PyUnicode_InternFromString(name); }

// Of a fastautorec._compute.csr.Csr, which is frozen and keeps its arrays alive.
inline CsrView csr_view(const py::object& matrix, bool with_values = true) {
    static const py::handle indptr = interned("indptr"), indices = interned("indices"),
                            stored_values = interned("data"), n_cols = interned("n_cols");
    const auto pointers = vector_view<const std::int64_t>(matrix.attr(indptr));
    const auto ids = vector_view<const std::int32_t>(matrix.attr(indices));
    require(pointers.size >= 1, "indptr must not be empty");
    require(pointers.data[0] >= 0, "indptr must not be negative");
    for (std::int64_t i = 1; i < pointers.size; ++i)
        require(pointers.data[i] >= pointers.data[i - 1], "indptr must not decrease");
    require(pointers.data[pointers.size - 1] <= ids.size, "indptr points past the end of indices");
    const float* data = nullptr;
    const py::object values = with_values ? py::object(matrix.attr(stored_values)) : py::none();
    if (!values.is_none()) {
        const auto stored = vector_view<const float>(values);
        require(stored.size >= pointers.data[pointers.size - 1], "indptr points past the end of data");
        data = stored.data;
    }
    return {pointers.size - 1, py::cast<std::int64_t>(matrix.attr(n_cols)), pointers.data, ids.data, data};
}

// Of a Csr whose values do not count; null pointers for None.
inline CsrView pattern_view(const py::object& matrix) { return matrix.is_none() ? CsrView{} : csr_view(matrix, false); }

// Of a fastautorec._compute.parameter.Parameter, whose arrays will be changed in place.
Parameter parameter_view(const py::object& parameter);

void register_dense(py::module_& module);
void register_sparse(py::module_& module);
void register_nce(py::module_& module);
void register_rank(py::module_& module);
void register_heads(py::module_& module);
void register_optim(py::module_& module);
void register_sampling(py::module_& module);
void register_runtime(py::module_& module);

}  // namespace fastautorec::bindings
