// Checks that protect memory. What a user may get wrong is checked before, in Python, with a better message.
#pragma once

#include <stdexcept>

namespace fastautorec {

inline void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

}  // namespace fastautorec
