// Memory for intermediate results. Fresh memory costs as much as the work that fills it, so each thread keeps what it
// has used for its next calls.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace fastautorec {

struct FreeAligned {
    void operator()(float* p) const { ::operator delete(p, std::align_val_t{64}); }
};

// An array of `size` floats that begins at a cache line; its values are undefined.
class Scratch {
   public:
    explicit Scratch(std::int64_t size);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    float* data() const { return data_.get(); }

   private:
    std::unique_ptr<float, FreeAligned> data_;
    std::int64_t capacity_;
};

}  // namespace fastautorec
