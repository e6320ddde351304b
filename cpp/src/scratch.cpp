#include "fastautorec/scratch.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace fastautorec {
namespace {

constexpr std::int64_t kLargestKept = std::int64_t{16} << 20;  // floats; larger arrays go back to the system
constexpr std::size_t kMostKept = 8;
constexpr std::int64_t kLine = 16;  // floats of a cache line

struct Spare {
    std::unique_ptr<float, FreeAligned> data;
    std::int64_t capacity;
};

thread_local std::vector<Spare> spares;  // ascending capacity

}  // namespace

Scratch::Scratch(std::int64_t size) : capacity_((std::max<std::int64_t>(size, 1) + kLine - 1) / kLine * kLine) {
    const auto fits =
        std::find_if(spares.begin(), spares.end(), [&](const Spare& s) { return s.capacity >= capacity_; });
    if (fits == spares.end()) {
        const auto bytes = static_cast<std::size_t>(capacity_) * sizeof(float);
        data_.reset(static_cast<float*>(::operator new(bytes, std::align_val_t{64})));
        return;
    }
    data_ = std::move(fits->data);
    capacity_ = fits->capacity;
    spares.erase(fits);
}

Scratch::~Scratch() {
    if (capacity_ > kLargestKept) return;
    const auto place =
        std::find_if(spares.begin(), spares.end(), [&](const Spare& s) { return s.capacity >= capacity_; });
    spares.insert(place, {std::move(data_), capacity_});
    if (spares.size() > kMostKept) spares.erase(spares.begin());
}

}  // namespace fastautorec
