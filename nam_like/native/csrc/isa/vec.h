// Vectors of floats, as wide as one register of the instruction set that this file is compiled for.
//
// Every file under isa/ is compiled once per instruction set, into a namespace of its own (NAM_ISA), with the
// compiler's flags for it. GCC's and Clang's vector extensions give arithmetic, comparison and selection on
// all of them from one source; only the blocking constants below differ.
//
// Rule for files under isa/: no templates of the standard library. The linker would merge their instances
// across instruction sets, and an old processor could be handed the AVX-512 one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#define NAM_INLINE inline __attribute__((always_inline))
#define NAM_NOINLINE __attribute__((noinline))
// Before a loop over the elements of a block: only when it is gone altogether do the elements get registers.
#define NAM_UNROLL _Pragma("GCC unroll 16")

namespace nam::NAM_ISA {

#if defined(NAM_VECTOR_WIDTH)  // a test compiles the blocking of one instruction set for another
inline constexpr int W = NAM_VECTOR_WIDTH;
inline constexpr int REGISTERS = NAM_VECTOR_REGISTERS;
#elif defined(__AVX512F__)
inline constexpr int W = 16;          // floats per vector
inline constexpr int REGISTERS = 32;  // vector registers
#elif defined(__AVX2__)
inline constexpr int W = 8;
inline constexpr int REGISTERS = 16;
#elif defined(__aarch64__)
inline constexpr int W = 4;
inline constexpr int REGISTERS = 32;
#else
inline constexpr int W = 4;
inline constexpr int REGISTERS = 16;
#endif

typedef float vf __attribute__((vector_size(W * 4)));
typedef int32_t vi __attribute__((vector_size(W * 4)));
typedef float vf_unaligned __attribute__((vector_size(W * 4), aligned(4), may_alias));

NAM_INLINE vf load(const float* p) { return *reinterpret_cast<const vf_unaligned*>(p); }
NAM_INLINE void store(float* p, vf v) { *reinterpret_cast<vf_unaligned*>(p) = v; }

// Past the caches, for what nobody reads soon: saves reading the line first. `p` is a multiple of a vector; whoever
// hands the memory to another thread calls stores_done.
#if defined(__AVX512F__) && !defined(NAM_VECTOR_WIDTH)
NAM_INLINE void store_past_caches(float* p, vf v) { _mm512_stream_ps(p, reinterpret_cast<__m512>(v)); }
NAM_INLINE void stores_done() { _mm_sfence(); }
#elif defined(__AVX2__) && !defined(NAM_VECTOR_WIDTH)
NAM_INLINE void store_past_caches(float* p, vf v) { _mm256_stream_ps(p, reinterpret_cast<__m256>(v)); }
NAM_INLINE void stores_done() { _mm_sfence(); }
#else
NAM_INLINE void store_past_caches(float* p, vf v) { store(p, v); }
NAM_INLINE void stores_done() {}
#endif

// The first n < W floats; the other lanes are zero, so that sums over lanes may include them.
NAM_INLINE vf load_first(const float* p, ptrdiff_t n) {
    float lanes[W] = {};
    std::memcpy(lanes, p, static_cast<size_t>(n) * sizeof(float));
    return load(lanes);
}
NAM_INLINE void store_first(float* p, vf v, ptrdiff_t n) {
    float lanes[W];
    store(lanes, v);
    std::memcpy(p, lanes, static_cast<size_t>(n) * sizeof(float));
}

// Minus zero, not plus: s − 0 is s for every s, so that one broadcast remains; 0 + s would turn −0 into 0, and the
// compiler would have to add.
NAM_INLINE vf splat(float s) { return s - vf{}; }
NAM_INLINE vf select(vi mask, vf a, vf b) { return mask ? a : b; }
// Of not-a-number and another value, both give b. Where a is a constant, GCC makes two instructions of the ternary.
#if defined(__AVX512F__) && !defined(NAM_VECTOR_WIDTH)
NAM_INLINE vf max(vf a, vf b) { return _mm512_max_ps(a, b); }
NAM_INLINE vf min(vf a, vf b) { return _mm512_min_ps(a, b); }
#elif defined(__AVX2__) && !defined(NAM_VECTOR_WIDTH)
NAM_INLINE vf max(vf a, vf b) { return _mm256_max_ps(a, b); }
NAM_INLINE vf min(vf a, vf b) { return _mm256_min_ps(a, b); }
#else
NAM_INLINE vf max(vf a, vf b) { return a > b ? a : b; }
NAM_INLINE vf min(vf a, vf b) { return a < b ? a : b; }
#endif
NAM_INLINE vf abs(vf v) { return reinterpret_cast<vf>(reinterpret_cast<vi>(v) & 0x7fffffff); }
// |magnitude| with the sign of `sign`.
NAM_INLINE vf copysign(vf magnitude, vf sign) {
    return reinterpret_cast<vf>((reinterpret_cast<vi>(magnitude) & 0x7fffffff) |
                                (reinterpret_cast<vi>(sign) & static_cast<int32_t>(0x80000000)));
}

// Sum of all lanes, by halves: the order is the same on every run.
NAM_INLINE float sum(vf v) {
    float lanes[W];
    store(lanes, v);
    for (int width = W / 2; width > 0; width /= 2)
        for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
    return lanes[0];
}

}  // namespace nam::NAM_ISA
