#include "fastautorec/sampling_ops.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "fastautorec/check.hpp"
#include "fastautorec/parallel.hpp"
#include "fastautorec/philox.h"
#include "fastautorec/sampling.h"
#include "fastautorec/simd.hpp"

namespace fastautorec {
namespace {

constexpr std::int64_t kChunkBlocks = 512;       // Philox blocks made at a time: 8 KB of words
constexpr std::int64_t kTaskCost = 1 << 15;      // draws in a task, about 0.1 ms
constexpr std::int64_t kStageEntries = 1 << 20;  // entries waiting to be moved to their place: 8 MB
constexpr std::int64_t kWordsPerDraw = 4;        // so many words of a bitmap are looked through rather than sort a draw

// words[4 b + i] = word i of block first + b, for all b < n_blocks.
FASTAUTOREC_CLONES void fill_words(std::uint64_t seed, std::uint32_t epoch, std::uint64_t user, std::uint32_t first,
                                   std::int64_t n_blocks, std::uint32_t* words) {
    for (std::int64_t b = 0; b < n_blocks; ++b) {
        const Philox4x32 block = philox_of_user(seed, epoch, user, first + static_cast<std::uint32_t>(b));
        for (int i = 0; i < 4; ++i) words[4 * b + i] = block.word[i];
    }
}

struct Items {
    const std::int32_t* ids;
    std::int64_t size;
};

// Draws for one user after the other and collects the items as sorted counts; each thread has one.
class RowSampler {
   public:
    RowSampler(const SamplerView& sampler, std::uint64_t seed, std::uint32_t epoch)
        : sampler_(sampler),
          n_items_(sampler.cdf.size),
          seed_(seed),
          epoch_(epoch),
          shift_(kTotalBits),
          way_(sampler.table.size                                  ? Way::kScan
               : n_items_ / 64 < kWordsPerDraw * sampler.n_samples ? Way::kBitmap
                                                                   : Way::kSort),
          words_(4 * kChunkBlocks) {
        for (std::int64_t parts = 1; parts < sampler.guide.size; parts *= 2) --shift_;
        if (way_ != Way::kSort) counts_.resize(static_cast<std::size_t>(n_items_));
        if (way_ == Way::kBitmap) touched_.resize(static_cast<std::size_t>(n_items_ / 64 + 1));
    }

    // Writes a row and returns its length; there must be room for min(N, n) + 1 entries.
    std::int64_t draw(std::uint64_t user, Items excluded, std::int32_t* ids, std::int32_t* counts) {
        cut_out(excluded);
        const std::int64_t missing = way_ == Way::kScan ? draw_counts(user, excluded) : sampler_.n_samples;
        switch (way_) {
            case Way::kScan:
                draw_items(user, missing, [&](std::uint32_t item) { ++counts_[item]; });
                return scan(ids, counts);
            case Way::kBitmap:
                draw_items(user, missing, [&](std::uint32_t item) {
                    ++counts_[item];
                    touched_[item / 64] |= std::uint64_t{1} << item % 64;
                });
                return scan_touched(ids, counts);
            default:
                drawn_.clear();
                draw_items(user, missing,
                           [&](std::uint32_t item) { drawn_.push_back(static_cast<std::int32_t>(item)); });
                return sort(ids, counts);
        }
    }

   private:
    enum class Way { kSort, kBitmap, kScan };

    void cut_out(Items excluded) {
        const std::uint64_t* cdf = sampler_.cdf.data;
        gaps_.resize(static_cast<std::size_t>(excluded.size));
        cut_.resize(static_cast<std::size_t>(excluded.size + 1));
        std::uint64_t cut = 0;
        for (std::int64_t e = 0; e < excluded.size; ++e) {
            const std::int32_t item = excluded.ids[e];
            const std::uint64_t start = item ? cdf[item - 1] : 0;
            gaps_[e] = start - cut;
            cut_[e] = cut;
            cut += cdf[item] - start;
        }
        cut_[excluded.size] = cut;
        total_ = (std::uint64_t{1} << kTotalBits) - cut;
        require(total_ > 0, "sample_negatives: every item of a user is excluded");
    }

    // Fills all counts and returns how many single draws are missing.
    std::int64_t draw_counts(std::uint64_t user, Items excluded) {
        const std::int64_t n_blocks = (n_items_ + 3) / 4;
        for (std::uint32_t first = kCountBlocks;; first += static_cast<std::uint32_t>(n_blocks)) {
            std::int64_t sum = 0;
            for (std::int64_t b = 0; b < n_blocks; b += kChunkBlocks) {
                poll_interrupt();
                const std::int64_t size = std::min(kChunkBlocks, n_blocks - b);
                fill_words(seed_, epoch_, user, first + static_cast<std::uint32_t>(b), size, words_.data());
                sum += look_up_counts(4 * b, std::min(4 * size, n_items_ - 4 * b));
            }
            for (std::int64_t e = 0; e < excluded.size; ++e)
                sum -= std::exchange(counts_[static_cast<std::size_t>(excluded.ids[e])], 0);
            if (sum <= sampler_.n_samples) return sampler_.n_samples - sum;
        }
    }

    std::int64_t look_up_counts(std::int64_t first, std::int64_t size) {
        const std::int32_t* table = sampler_.table.data + first;
        const std::uint32_t* words = words_.data();
        std::uint32_t* counts = counts_.data() + first;
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < size; ++i) {
            counts[i] = count_at(sampler_.last.data + sampler_.base.data[table[i]], sampler_.table_guide.row(table[i]),
                                 words[i]);
            sum += counts[i];
        }
        return sum;
    }

    template <class Take>
    void draw_items(std::uint64_t user, std::int64_t n_draws, const Take& take) {
        for (std::int64_t t = 0; t < n_draws; t += 2 * kChunkBlocks) {
            poll_interrupt();
            const std::int64_t size = std::min(2 * kChunkBlocks, n_draws - t);
            fill_words(seed_, epoch_, user, static_cast<std::uint32_t>(t / 2), (size + 1) / 2, words_.data());
            gaps_.empty() ? look_up_items<false>(size, take) : look_up_items<true>(size, take);
        }
    }

    template <bool kExcludes, class Take>
    FASTAUTOREC_INLINE void look_up_items(std::int64_t size, const Take& take) const {
        const std::uint32_t* words = words_.data();
        const std::uint64_t *cdf = sampler_.cdf.data, total = total_;
        const std::int32_t* guide = sampler_.guide.data;
        const int shift = shift_;
        for (std::int64_t t = 0; t < size; ++t) {
            const std::uint64_t bits = words[2 * t] | std::uint64_t{words[2 * t + 1]} << 32;
            std::uint64_t place = bits >> (64 - kTotalBits);  // the product with the whole line
            if constexpr (kExcludes)
                place =
                    skip_excluded(gaps_.data(), cut_.data(), gaps_.size(), std::uint64_t{high_product(bits, total)});
            take(static_cast<std::uint32_t>(item_at(cdf, guide, shift, place)));
        }
    }

    std::int64_t scan(std::int32_t* ids, std::int32_t* counts) const {
        std::int64_t length = 0;
        for (std::int64_t j = 0; j < n_items_; ++j) {
            ids[length] = static_cast<std::int32_t>(j);
            counts[length] = static_cast<std::int32_t>(counts_[static_cast<std::size_t>(j)]);
            length += counts[length] != 0;
        }
        return length;
    }

    std::int64_t scan_touched(std::int32_t* ids, std::int32_t* counts) {
        std::int64_t length = 0;
        for (std::size_t w = 0; w < touched_.size(); ++w) {
            for (std::uint64_t bits = std::exchange(touched_[w], 0); bits; bits &= bits - 1) {
                const std::size_t item = 64 * w + static_cast<std::size_t>(__builtin_ctzll(bits));
                ids[length] = static_cast<std::int32_t>(item);
                counts[length++] = static_cast<std::int32_t>(std::exchange(counts_[item], 0));
            }
        }
        return length;
    }

    std::int64_t sort(std::int32_t* ids, std::int32_t* counts) {
        std::sort(drawn_.begin(), drawn_.end());
        std::int64_t length = 0;
        for (std::size_t t = 0; t < drawn_.size(); ++t) {
            if (t > 0 && drawn_[t] == drawn_[t - 1]) {
                ++counts[length - 1];
            } else {
                ids[length] = drawn_[t];
                counts[length++] = 1;
            }
        }
        return length;
    }

    const SamplerView& sampler_;
    std::int64_t n_items_;
    std::uint64_t seed_;
    std::uint32_t epoch_;
    int shift_;
    Way way_;
    std::uint64_t total_ = 0;
    std::vector<std::uint32_t> words_, counts_;  // counts are all 0 between users, or all written anew
    std::vector<std::uint64_t> touched_;         // a bit for each item with a count
    std::vector<std::int32_t> drawn_;
    std::vector<std::uint64_t> gaps_, cut_;
};

// Scratch of the tasks of one call: a task takes one that is free, or makes one.
class RowSamplers {
   public:
    RowSamplers(const SamplerView& sampler, std::uint64_t seed, std::uint32_t epoch)
        : make_([=, &sampler] { return std::make_unique<RowSampler>(sampler, seed, epoch); }) {}

    template <class Use>
    void with_one(const Use& use) {
        std::unique_ptr<RowSampler> mine;
        {
            const std::scoped_lock lock(mutex_);
            if (!free_.empty()) {
                mine = std::move(free_.back());
                free_.pop_back();
            }
        }
        if (!mine) mine = make_();
        use(*mine);
        const std::scoped_lock lock(mutex_);
        free_.push_back(std::move(mine));
    }

   private:
    std::function<std::unique_ptr<RowSampler>()> make_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<RowSampler>> free_;
};

void check_shapes(const SamplerView& sampler, VectorView<const std::int64_t> users, const CsrView* exclude) {
    const std::int64_t n_items = sampler.cdf.size, parts = sampler.guide.size;
    require(n_items > 0 && sampler.cdf.data[n_items - 1] == std::uint64_t{1} << kTotalBits,
            "sample_negatives: cdf must end at 2^63");
    require(parts > 0 && (parts & (parts - 1)) == 0, "sample_negatives: guide must have 2^bits entries");
    require(sampler.n_samples > 0 && sampler.n_samples < std::int64_t{1} << 31,
            "sample_negatives: n_samples must be from 1 to 2^31 - 1");
    require(sampler.table.size == 0 || sampler.table.size == n_items,
            "sample_negatives: table must have one number for each item");
    require(sampler.table.size == 0 ||
                (sampler.table_guide.rows == sampler.base.size && sampler.table_guide.cols == kBuckets),
            "sample_negatives: table_guide must be (tables, 32)");
    require(!exclude || (exclude->n_rows == users.size && exclude->n_cols == n_items),
            "sample_negatives: exclude must be (users, items)");
}

}  // namespace

std::int64_t sample_negatives(const SamplerView& sampler, VectorView<const std::int64_t> users, const CsrView* exclude,
                              std::uint64_t seed, std::uint32_t epoch, std::int64_t* indptr,
                              VectorView<std::int32_t> ids, VectorView<std::int32_t> counts, int num_threads) {
    check_shapes(sampler, users, exclude);
    const std::int64_t n_items = sampler.cdf.size, longest = std::min(sampler.n_samples, n_items);
    const std::int64_t cost = sampler.table.size ? 2 * n_items : sampler.n_samples;
    const std::int64_t task_rows = std::max<std::int64_t>(1, std::min<std::int64_t>(256, kTaskCost / cost));
    const std::int64_t room = task_rows * longest + 1;
    const std::int64_t all_tasks = (users.size + task_rows - 1) / task_rows;
    const std::int64_t stage_tasks =
        std::min(all_tasks, std::max<std::int64_t>(kStageEntries / room, std::int64_t{2} * num_threads));

    // Where a row goes is known when the rows before it are drawn. So they are drawn in stages, into buffers that stay
    // in the cache, and then moved: nothing of the size of the result is held twice.
    const auto size = static_cast<std::size_t>(stage_tasks * room);
    const std::unique_ptr<std::int32_t[]> stage_ids(new std::int32_t[size]), stage_counts(new std::int32_t[size]);
    RowSamplers samplers(sampler, seed, epoch);
    indptr[0] = 0;
    for (std::int64_t stage = 0; stage < all_tasks; stage += stage_tasks) {
        const std::int64_t n_tasks = std::min(stage_tasks, all_tasks - stage);
        parallel_for(n_tasks, num_threads, [&](std::int64_t t) {
            const std::int64_t start = (stage + t) * task_rows, stop = std::min(users.size, start + task_rows);
            samplers.with_one([&](RowSampler& row) {
                std::int64_t place = t * room;
                for (std::int64_t i = start; i < stop; ++i) {
                    Items excluded{nullptr, 0};
                    if (exclude)
                        excluded = {exclude->indices + exclude->indptr[i], exclude->indptr[i + 1] - exclude->indptr[i]};
                    indptr[i + 1] = row.draw(static_cast<std::uint64_t>(users.data[i]), excluded,
                                             stage_ids.get() + place, stage_counts.get() + place);
                    place += indptr[i + 1];
                }
            });
        });
        const std::int64_t first = stage * task_rows, last = std::min(users.size, (stage + n_tasks) * task_rows);
        std::partial_sum(indptr + first, indptr + last + 1, indptr + first);
        require(indptr[last] <= ids.size && indptr[last] <= counts.size,
                "sample_negatives: ids or counts are too short");
        parallel_for(n_tasks, num_threads, [&](std::int64_t t) {
            const std::int64_t start = (stage + t) * task_rows, stop = std::min(users.size, start + task_rows);
            const std::int64_t length = indptr[stop] - indptr[start];
            std::copy_n(stage_ids.get() + t * room, length, ids.data + indptr[start]);
            std::copy_n(stage_counts.get() + t * room, length, counts.data + indptr[start]);
        });
    }
    return indptr[users.size];
}

}  // namespace fastautorec
