// A test framework in a few lines: cases that register themselves, checks that count and go on.
#pragma once

#include <cmath>
#include <cstdio>
#include <functional>
#include <utility>
#include <vector>

namespace testing {

struct Case {
    const char* name;
    std::function<void()> run;
};

inline std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

inline int& failures() {
    static int count = 0;
    return count;
}

struct Register {
    Register(const char* name, std::function<void()> run) { cases().push_back({name, std::move(run)}); }
};

inline void check(bool condition, const char* text, const char* file, int line) {
    if (condition) return;
    std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
    ++failures();
}

// Equal to a relative or absolute error of `tolerance`.
inline bool close(double a, double b, double tolerance) {
    return std::abs(a - b) <= tolerance * std::fmax(1.0, std::abs(b));
}

inline int run_all() {
    for (const Case& c : cases()) {
        std::printf("%s\n", c.name);
        std::fflush(stdout);
        c.run();
    }
    std::printf("%zu cases, %d failed checks\n", cases().size(), failures());
    return failures() ? 1 : 0;
}

}  // namespace testing

#define CHECK(condition) testing::check((condition), #condition, __FILE__, __LINE__)

#define CHECK_THROWS(expression, exception)                                            \
    do {                                                                               \
        bool thrown = false;                                                           \
        try {                                                                          \
            expression;                                                                \
        } catch (const exception&) {                                                   \
            thrown = true;                                                             \
        }                                                                              \
        testing::check(thrown, #expression " throws " #exception, __FILE__, __LINE__); \
    } while (false)

#define TEST(name)                                               \
    static void name();                                          \
    static const testing::Register register_##name{#name, name}; \
    static void name()
