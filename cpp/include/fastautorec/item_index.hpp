// The entries of a batch by item, for products with its transpose: each item's row of the result is a sum of rows of
// the users that have it, made by one task in one order.
#pragma once

#include <cstdint>

#include "fastautorec/scratch.hpp"
#include "fastautorec/views.hpp"

namespace fastautorec {

class ItemIndex {
   public:
    explicit ItemIndex(const CsrView& x);

    // The index is made in parts, each by any thread; all must be there before it is used.
    std::int64_t parts() const { return parts_; }
    void make(std::int64_t part);

    // out = factor * X[:, first..last)^T rows, where out has one row for each of these items. Sums run over users in
    // ascending order.
    void product(std::int64_t first, std::int64_t last, float factor, ConstMatrix rows, Matrix out) const;

    struct Entry {
        std::int32_t user;
        float value;
    };

   private:
    CsrView x_;
    std::int64_t parts_;
    Scratch stop_memory_, entry_memory_;
    std::int64_t* stops_;  // one more than items: item i has entries [stops_[i], stops_[i + 1])
    Entry* entries_;
};

}  // namespace fastautorec
