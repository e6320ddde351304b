// Finds the few best of a long row of scores without sorting it.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "fastautorec/scratch.hpp"
#include "fastautorec/simd.hpp"
#include "fastautorec/views.hpp"

namespace fastautorec {

inline constexpr float kNever = -std::numeric_limits<float>::infinity();

// Score and id as one integer that sorts in the order of the lists: descending score, then ascending id.
inline std::uint64_t to_key(float score, std::int32_t id) {
    const float value = score + 0.0f;  // minus zero ties with zero
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const std::uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return static_cast<std::uint64_t>(~ascending) << 32 | static_cast<std::uint32_t>(id);
}

inline std::int32_t id_of(std::uint64_t key) { return static_cast<std::int32_t>(key & 0xffffffffu); }

inline float score_of(std::uint64_t key) {
    const auto ascending = ~static_cast<std::uint32_t>(key >> 32);
    const std::uint32_t bits = ascending & 0x80000000u ? ascending & 0x7fffffffu : ~ascending;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// How many of the values are >= floor.
std::int64_t count_from(const float* values, std::int64_t size, float floor);

// A floor for the best n_top of a row whose disjoint groups have these maxima, which are whole vectors: `floor`, below
// which nothing counts, or more where n_top of the maxima reach it, and hardly more than n_top where bisection gets
// there soon.
float raised_floor(const float* maxima, std::int64_t size, std::int64_t n_top, float floor);

// Leaves the best n_top of the keys, ascending.
void keep_best(std::vector<std::uint64_t>& keys, std::int64_t n_top);

// Writes a list of n_top places: the keys, then -1 and NaN.
void write_list(const std::vector<std::uint64_t>& keys, std::int64_t n_top, std::int32_t* ids, float* scores);

// Finds the best n_top of rows of one width. Two sweeps: a score that n_top of many disjoint groups' maxima reach is
// one that n_top items reach, so only the few items from there on are candidates and need sorting. Rows are whole
// vectors; what is beyond their width is minus infinity.
class RowSelector {
   public:
    RowSelector(std::int64_t width, std::int64_t n_top);

    static std::int64_t padded(std::int64_t width) { return (width + kLanes - 1) / kLanes * kLanes; }

    // Takes the row whose floor and positions will be asked for; it must stay as it is meanwhile.
    void look_at(const float* row);

    // A value that at least n_top of the row reach, and hardly more than n_top where bisection gets there soon; `known`
    // where there are not so many above it.
    float floor(float known = kNever) const;

    // Writes the positions of the scores >= floor, ascending within a group; returns their number.
    std::int64_t find(float floor);
    const std::int32_t* found() const { return found_.as<std::int32_t>(); }

   private:
    const float* row_ = nullptr;
    std::int64_t vectors_, n_top_, depth_;
    Scratch maxima_, lanes_, found_;
};

// Makes minus infinity of those of the items first..first + width that row u holds.
void leave_out(const CsrView& exclude, std::int64_t u, std::int64_t first, std::int64_t width, float* row);

}  // namespace fastautorec
