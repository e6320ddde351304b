// Memory for intermediate results. Fresh memory costs as much as the work that fills it, so each thread keeps what it
// has used for its next calls.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

#include "fastautorec/views.hpp"

namespace fastautorec {

struct FreeAligned {
    void operator()(float* p) const { ::operator delete(p, std::align_val_t{64}); }
};

// An array of `size` floats (of 4 bytes) that begins at a cache line; its values are undefined.
class Scratch {
   public:
    explicit Scratch(std::int64_t size);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    float* data() const { return data_.get(); }
    template <class T>
    T* as() const {  // the same memory for values of another plain type, of which the caller knows the size
        static_assert(std::is_trivial_v<T> && alignof(T) <= 64);
        return reinterpret_cast<T*>(data_.get());
    }

   private:
    std::unique_ptr<float, FreeAligned> data_;
    std::int64_t capacity_;
};

// A matrix in such memory whose rows begin at cache lines: a vector that lies across two costs two accesses.
class ScratchMatrix {
   public:
    ScratchMatrix(std::int64_t rows, std::int64_t cols)
        : memory_(rows * row_stride(cols)), view_{memory_.data(), rows, cols, row_stride(cols)} {}

    operator Matrix() const { return view_; }
    operator ConstMatrix() const { return read_only(view_); }
    const Matrix& operator*() const { return view_; }
    const Matrix* operator->() const { return &view_; }
    void clear() const {
        for (std::int64_t i = 0; i < view_.rows * view_.stride; ++i) view_.data[i] = 0.0f;
    }

    static std::int64_t row_stride(std::int64_t cols) { return (cols + 15) / 16 * 16; }

   private:
    Scratch memory_;
    Matrix view_;
};

}  // namespace fastautorec
