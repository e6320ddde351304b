// What a .cu file needs to be compiled as C++ and run on the CPU, for tests. Included in front of the kernels' text,
// which the build puts into a namespace without a name. Only what the kernels of this project may use is here:
// one-dimensional grids, integer atomics, shuffles of width 32.
#pragma once

#include <memory>
#include <type_traits>

#include "block.hpp"
#include "intrinsics.hpp"

namespace cuda_on_cpu {
namespace {

__attribute__((used)) __shared__ char marker[8] = {};  // so that the section exists
std::unique_ptr<char[]> dynamic_shared;

extern "C" char __start_cuda_shared[], __stop_cuda_shared[];

// Undefined at the start of a block. AddressSanitizer's guards lie between the variables, so it must not look.
#ifdef __SANITIZE_ADDRESS__
__attribute__((no_sanitize_address))
#endif
void spoil(char* begin, char* end) {
    for (volatile char* p = begin; p < end; ++p) *p = static_cast<char>(0xCB);
}

// The type of a parameter in NumPy's letters: "<f4", "<i8"; "*<f4" for a pointer, "|V36" for a struct.
template <class T>
std::string letters() {
    using Bare = std::remove_cv_t<T>;
    if constexpr (std::is_pointer<Bare>::value) {
        return "*" + letters<std::remove_pointer_t<Bare>>();
    } else {
        const char* kind = std::is_same<Bare, bool>::value    ? "|b"
                           : std::is_floating_point<T>::value ? "<f"
                           : std::is_signed<T>::value         ? "<i"
                           : std::is_unsigned<T>::value       ? "<u"
                                                              : "|V";
        return kind + std::to_string(sizeof(T));
    }
}

template <class... Parameters>
const char* signature(void (*)(Parameters...)) {
    static std::string text;
    if (text.empty()) ((text += letters<Parameters>() + " "), ...);
    return text.c_str();
}

template <class... Parameters, std::size_t... I>
void launch(void (*kernel)(Parameters...), std::index_sequence<I...>, unsigned blocks, unsigned threads,
            std::size_t shared, void** arguments, std::uint64_t seed) {
    struct Call {
        void (*kernel)(Parameters...);
        void** arguments;
    } call{kernel, arguments};
    block.run = [](void* given) {
        const Call& call = *static_cast<Call*>(given);
        call.kernel(*static_cast<std::remove_reference_t<Parameters>*>(call.arguments[I])...);
    };
    block.arguments = &call;
    block.random = seed;
    gridDim.x = blocks;
    blockDim.x = threads;
    dynamic_shared.reset(new char[shared]);
    std::vector<unsigned> order;
    draw_order(order, blocks, seed != 0);
    for (unsigned b : order) {
        blockIdx.x = b;
        spoil(__start_cuda_shared, __stop_cuda_shared);
        spoil(dynamic_shared.get(), dynamic_shared.get() + shared);
        run_block(threads, seed != 0);
    }
}

template <class... Parameters>
int guarded_launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, std::size_t shared,
                   void** arguments, std::uint64_t seed, char* message, std::size_t message_size) {
    try {
        launch(kernel, std::index_sequence_for<Parameters...>{}, blocks, threads, shared, arguments, seed);
        return 0;
    } catch (const std::exception& error) {
        strncpy(message, error.what(), message_size - 1);
        return 1;
    }
}

}  // namespace
}  // namespace cuda_on_cpu

#define CUDA_ON_CPU_PUBLIC extern "C" __attribute__((visibility("default")))
#define CUDA_ON_CPU_EXPORT(kernel)                                                                                    \
    CUDA_ON_CPU_PUBLIC const char* signature_of_##kernel() { return cuda_on_cpu::signature(&kernel); }                \
    CUDA_ON_CPU_PUBLIC int launch_##kernel(unsigned blocks, unsigned threads, std::size_t shared, void** arguments,   \
                                           std::uint64_t seed, char* message, std::size_t message_size) {             \
        return cuda_on_cpu::guarded_launch(&kernel, blocks, threads, shared, arguments, seed, message, message_size); \
    }
