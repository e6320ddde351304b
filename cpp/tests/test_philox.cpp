#include "check.hpp"
#include "fastautorec/philox.h"

using fastautorec::philox;
using fastautorec::Philox4x32;
using fastautorec::philox_of_user;

namespace {

bool equal(const Philox4x32& a, const Philox4x32& b) {
    for (int i = 0; i < 4; ++i) {
        if (a.word[i] != b.word[i]) return false;
    }
    return true;
}

}  // namespace

// The known answers that the authors of the generator published with it (Random123).
TEST(known_answers) {
    const unsigned int ones = 0xffffffffu;
    CHECK(equal(philox({{0, 0, 0, 0}}, 0, 0), {{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}}));
    CHECK(
        equal(philox({{ones, ones, ones, ones}}, ones, ones), {{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}}));
    CHECK(equal(philox({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u),
                {{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}}));
}

TEST(stream_of_user_splits_seed_and_user_into_words) {
    const unsigned long long seed = 0x299f31d0a4093822ull, user = 0x0370734413198a2eull;
    CHECK(equal(philox_of_user(seed, 0x85a308d3u, user, 0x243f6a88u),
                philox({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u)));
}

int main() { return testing::run_all(); }
