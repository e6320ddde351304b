#include "fastautorec/scan_items.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/dense_ops.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/row_selector.hpp"
#include "fastautorec/scratch.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kGroupsPerTask = 64;
constexpr std::int64_t kTogether = 32;         // vectors whose bounds are found at once, where these fit
constexpr std::int64_t kBounds = 1 << 22;      // into so many floats
constexpr std::int64_t kMoreSeeds = 8;         // beside 5/4 of the length of the lists, items that are scored first
constexpr std::int64_t kFewLeft = 8;           // times as many items as that may be scored at once
constexpr std::int64_t kFirstShare = 16;       // 1/16 of the items is looked at first, then 1/8,
constexpr std::int64_t kLastShare = 4;         // then 1/4, then all that are long enough
constexpr std::int64_t kBytesAlone = 2 << 20;  // of codes are read sooner than a second thread is awake
constexpr std::int64_t kMostShare = 8;         // of the items may be scored on average,
constexpr std::int64_t kMostChained = 32;      // and where sums are chains: BLAS has all of them sooner

// What all vectors are asked about, and how many more items may still be scored.
struct Search {
    ConstMatrix rows;
    const ItemCodes& codes;
    const CsrView* exclude;
    const std::vector<std::int32_t>& masked;  // places
    VectorView<const std::int64_t> borders;
    std::int64_t n_top;
    std::atomic<std::int64_t> budget;
};

// Finds the list of one vector, first among the longest rows, then among all that are long enough.
class Finder {
   public:
    Finder(Search& search, ConstMatrix a, std::int64_t u, float* bounds)
        : search_(search), question_(a.row(u), a.cols, search.codes.width()), vector_(a.row(u)), u_(u), of_(bounds) {}

    bool usable() const { return question_.usable; }
    std::int64_t groups() const { return groups_; }  // that may hold items of the list
    Bounds asks() const { return {&question_, of_}; }

    // Takes the bounds of the first groups, which may leave fewer of the others. False where the budget is used up.
    bool look(std::int64_t first_groups) {
        clear(first_groups);
        RowSelector selector(first_groups * kLanes, seeds());
        selector.look_at(of_);
        if (!score(selector, selector.find(selector.floor(worst())))) return false;
        groups_ = std::max(first_groups, question_.groups_from(worst(), search_.codes));
        return true;
    }

    // Takes all bounds up to groups(), and writes the list.
    bool finish(MatrixView<std::int32_t> ids, Matrix best) {
        clear(groups_);
        RowSelector selector(groups_ * kLanes, seeds());
        selector.look_at(of_);
        std::int64_t count = selector.find(worst());
        if (count > kFewLeft * seeds()) {  // a better list to begin with pays
            if (!score(selector, selector.find(selector.floor()))) return false;
            count = selector.find(worst());
        }
        if (!score(selector, count)) return false;
        write_list(keys_, search_.n_top, ids.row(u_), best.row(u_));
        return true;
    }

   private:
    std::int64_t seeds() const { return search_.n_top + search_.n_top / 4 + kMoreSeeds; }
    float worst() const {
        return static_cast<std::int64_t>(keys_.size()) < search_.n_top ? kNever : score_of(keys_.back());
    }

    // Makes minus infinity of what must not be listed, or was scored already.
    void clear(std::int64_t groups) {
        const std::int64_t stop = groups * kLanes;
        const auto leave = [&](std::int64_t place) {
            if (place < stop) of_[place] = kNever;
        };
        for (std::int64_t place = search_.codes.rows(); place < stop; ++place) of_[place] = kNever;
        for (const std::int32_t place : search_.masked) leave(place);
        for (const std::int32_t place : scored_) leave(place);
        const CsrView* x = search_.exclude;
        for (std::int64_t p = x ? x->indptr[u_] : 0; x && p < x->indptr[u_ + 1] && x->indices[p] < search_.rows.rows;
             ++p)
            leave(search_.codes.place_of(x->indices[p]));
    }

    // Scores the items that were found, for once, and keeps the best.
    bool score(const RowSelector& selector, std::int64_t count) {
        listed_.clear();
        for (const std::int32_t* p = selector.found(); p < selector.found() + count; ++p) {
            if (of_[*p] == kNever) continue;
            listed_.push_back(static_cast<std::int32_t>(search_.codes.row_at(*p)));
            scored_.push_back(*p);
            of_[*p] = kNever;
        }
        const auto size = static_cast<std::int64_t>(listed_.size());
        if ((search_.budget -= size) < 0) return false;
        scores_.resize(listed_.size());
        if (search_.borders.size)
            chain_products(vector_, search_.rows, listed_.data(), size, search_.borders, scores_.data());
        else
            multiply_listed_rows(vector_, search_.rows, listed_.data(), size, scores_.data());
        const bool full = static_cast<std::int64_t>(keys_.size()) == search_.n_top;
        const std::uint64_t last = full ? keys_.back() : ~std::uint64_t{0};
        for (std::size_t c = 0; c < listed_.size(); ++c) {
            const std::uint64_t key = to_key(scores_[c], listed_[c]);
            if (key < last) keys_.push_back(key);
        }
        keep_best(keys_, search_.n_top);
        return true;
    }

    Search& search_;
    Question question_;
    const float* vector_;
    std::int64_t u_, groups_ = search_.codes.groups();
    float* of_;
    std::vector<std::int32_t> listed_, scored_;
    std::vector<std::uint64_t> keys_;
    std::vector<float> scores_;
};

// The list of vector u where all scores are zero: the first ids that may be listed.
void list_equals(std::int64_t n, std::int64_t u, const CsrView* exclude, VectorView<const std::int32_t> masked,
                 std::int64_t n_top, std::int32_t* ids, float* best) {
    const std::int32_t *out = exclude ? exclude->indices + exclude->indptr[u] : nullptr,
                       *out_end = exclude ? exclude->indices + exclude->indptr[u + 1] : nullptr,
                       *never = masked.data, *const never_end = masked.data + masked.size;
    std::vector<std::uint64_t> keys;
    for (std::int32_t i = 0; i < n && static_cast<std::int64_t>(keys.size()) < n_top; ++i) {
        while (out != out_end && *out < i) ++out;
        while (never != never_end && *never < i) ++never;
        if ((out == out_end || *out != i) && (never == never_end || *never != i)) keys.push_back(to_key(0.0f, i));
    }
    write_list(keys, n_top, ids, best);
}

}  // namespace

bool scan_items(ConstMatrix a, ConstMatrix b, const ItemCodes& codes, const CsrView* exclude,
                VectorView<const std::int32_t> masked, VectorView<const std::int64_t> borders,
                MatrixView<std::int32_t> ids, Matrix best, int num_threads) {
    const std::int64_t n = b.rows, groups = codes.groups(), n_top = ids.cols;
    require(a.cols == b.cols && ids.rows == a.rows && best.rows == a.rows && best.cols == n_top,
            "scan_items: shapes do not match");
    require_codes_of(codes, n, b.cols);
    require(!exclude || (exclude->n_rows == a.rows && exclude->n_cols >= n), "scan_items: exclude has another shape");
    require(borders.size == 0 || borders.data[borders.size - 1] == b.cols, "scan_items: borders must end the rows");
    std::vector<std::int32_t> never;
    for (std::int64_t m = 0; m < masked.size; ++m)
        never.push_back(static_cast<std::int32_t>(codes.place_of(masked.data[m])));
    Search search{b, codes, exclude, never, borders, n_top, {a.rows * n / (borders.size ? kMostChained : kMostShare)}};
    const std::int64_t together = std::min({kTogether, std::max<std::int64_t>(8, kBounds / (n + 1)), a.rows});
    const ScratchMatrix memory(together, groups * kLanes);
    for (std::int64_t start = 0; start < a.rows; start += together) {
        std::vector<Finder> finders;
        std::vector<Bounds> asked;
        finders.reserve(static_cast<std::size_t>(together));
        for (std::int64_t u = start; u < std::min(start + together, a.rows); ++u) {
            if (std::all_of(a.row(u), a.row(u) + a.cols, [](float value) { return value == 0.0f; })) {
                list_equals(n, u, exclude, masked, n_top, ids.row(u), best.row(u));
                continue;
            }
            finders.emplace_back(search, a, u, memory->row(u - start));
            if (!finders.back().usable()) return false;
            asked.push_back(finders.back().asks());
        }
        const auto count = static_cast<std::int64_t>(finders.size());
        if (count == 0) continue;
        std::vector<Finder*> order;
        for (Finder& finder : finders) order.push_back(&finder);
        std::int64_t from = 0;
        bool last = false;
        for (std::int64_t share = kFirstShare; !last; share /= share > kLastShare ? 2 : kLastShare) {
            const std::int64_t part = std::max(kGroupsPerTask, groups / share);
            if (share > 1 && part <= from) continue;
            // Those who need most groups come first, so that bounds are found for the first of them only.
            std::sort(order.begin(), order.end(), [](auto* x, auto* y) { return x->groups() > y->groups(); });
            std::transform(order.begin(), order.end(), asked.begin(), [](auto* finder) { return finder->asks(); });
            const std::int64_t most = order[0]->groups(), to = std::min(most, part);
            last = share < kFirstShare && most <= part;
            const int threads = (to - from) * count * codes.codes.cols < kBytesAlone ? 1 : num_threads;
            parallel_for((to - from + kGroupsPerTask - 1) / kGroupsPerTask, threads, [&](std::int64_t t) {
                const std::int64_t first = from + t * kGroupsPerTask;
                const auto needs = [&](const Finder* finder) { return finder->groups() > first; };
                const auto many = std::partition_point(order.begin(), order.end(), needs) - order.begin();
                bound_products(asked.data(), many, codes, first, std::min(to, first + kGroupsPerTask));
            });
            std::atomic<bool> found{true};
            parallel_for(count, num_threads, [&](std::int64_t i) {
                Finder& finder = *order[static_cast<std::size_t>(i)];
                if (!last && share < kFirstShare && finder.groups() <= to) return;  // it has all that it needs
                if (!(last ? finder.finish(ids, best) : finder.look(to))) found = false;
            });
            if (!found) return false;
            from = to;
        }
    }
    return true;
}

}  // namespace fastautorec
