// Philox4x32-10, a counter-based random generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
// One text for the C++ core and the CUDA kernels: the same counter and key give the same bits on every device.
#pragma once

#ifdef __CUDACC__
#define FASTAUTOREC_PHILOX_HD __host__ __device__ __forceinline__
#else
#include <cstdint>
#define FASTAUTOREC_PHILOX_HD inline
#endif

namespace fastautorec {

struct Philox4x32 {
    unsigned int word[4];
};

FASTAUTOREC_PHILOX_HD Philox4x32 philox(Philox4x32 counter, unsigned int key0, unsigned int key1) {
    for (int round = 0; round < 10; ++round) {
        const unsigned long long a = 0xD2511F53ull * counter.word[0];
        const unsigned long long b = 0xCD9E8D57ull * counter.word[2];
        counter = {{static_cast<unsigned int>(b >> 32) ^ counter.word[1] ^ key0, static_cast<unsigned int>(b),
                    static_cast<unsigned int>(a >> 32) ^ counter.word[3] ^ key1, static_cast<unsigned int>(a)}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

// The stream of one user in one epoch: block number `block` of four words.
FASTAUTOREC_PHILOX_HD Philox4x32 philox_of_user(unsigned long long seed, unsigned int epoch, unsigned long long user,
                                                unsigned int block) {
    const Philox4x32 counter = {{block, epoch, static_cast<unsigned int>(user), static_cast<unsigned int>(user >> 32)}};
    return philox(counter, static_cast<unsigned int>(seed), static_cast<unsigned int>(seed >> 32));
}

}  // namespace fastautorec
