// Distance and gradient of the spectra of one frame per lane.
//
// Each bin has squared magnitudes X² and Y² (at least eps). Three sums are taken: (X − Y)², Y² and |ln X − ln Y|. Where
// a gradient is wanted, the two spectra are replaced by P·(X − Y)/X and P·sign(X − Y)/X² (see stft.h), so that
// nothing but the two spectra travels through the cache.
//
// A root and a quotient per bin would do, but a chain of thirty dependent operations per bin leaves a core waiting:
// it looks only some 200 instructions ahead, and that is not two bins. So a chunk of bins goes through three
// short loops, each of which has many bins in flight: from the transforms to powers, from powers to factors, and from
// factors to gradients.
//
// Logarithms cost next to nothing: Σ |ln X − ln Y| = ln Π max(Y/X, 1) − ln Π min(Y/X, 1). The two products are kept as
// mantissas and the difference of their exponents, so they cannot overflow, and the only logarithm is taken
// at the very end. Equal magnitudes have a quotient of 1: identical signals have a distance of exactly 0.
#pragma once
#include <cmath>

#include "../stft.h"
#include "fft.h"
#include "vec.h"
#if defined(NAM_X86)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace nam::NAM_ISA {

NAM_INLINE vf square_root(vf v) {
#if defined(__AVX512F__) && !defined(NAM_VECTOR_WIDTH)
    return reinterpret_cast<vf>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(v)));
#elif defined(__AVX2__) && !defined(NAM_VECTOR_WIDTH)
    return reinterpret_cast<vf>(_mm256_sqrt_ps(reinterpret_cast<__m256>(v)));
#elif defined(NAM_X86) && !defined(NAM_VECTOR_WIDTH)
    return reinterpret_cast<vf>(_mm_sqrt_ps(reinterpret_cast<__m128>(v)));
#elif defined(__aarch64__) && !defined(NAM_VECTOR_WIDTH)
    return reinterpret_cast<vf>(vsqrtq_f32(reinterpret_cast<float32x4_t>(v)));
#else
    for (int i = 0; i < W; ++i) v[i] = std::sqrt(v[i]);
    return v;
#endif
}

constexpr int32_t MANTISSA = 0x007fffff, ONE = 0x3f800000, SIGN = static_cast<int32_t>(0x80000000);

// Σ |ln q|: the logarithm of a product of quotients >= 1 less that of a product of quotients <= 1.
struct LogSum {
    vf above = splat(1.0f), below = splat(1.0f);  // in [1, 2)
    vi exponent = {};

    NAM_INLINE void multiply(vf by_above, vf by_below) {
        const vi a = reinterpret_cast<vi>(above * by_above), b = reinterpret_cast<vi>(below * by_below);
        exponent += (a >> 23) - (b >> 23);
        above = reinterpret_cast<vf>((a & MANTISSA) | ONE);
        below = reinterpret_cast<vf>((b & MANTISSA) | ONE);
    }
    NAM_INLINE void add(vf q) { multiply(max(q, splat(1.0f)), min(q, splat(1.0f))); }
    // Two quotients at once, of 10^±18 at most.
    NAM_INLINE void add(vf q, vf r) {
        const vf one = splat(1.0f);
        multiply(max(q, one) * max(r, one), min(q, one) * min(r, one));
    }
    // Takes part in the lanes that live.
    NAM_INLINE void add(const LogSum& other, vi live) {
        exponent += other.exponent & live;
        multiply(select(live, other.above, splat(1.0f)), select(live, other.below, splat(1.0f)));
    }
    double lane(int l) const {
        constexpr double LN2 = 0.693147180559945309417;
        return LN2 * exponent[l] + std::log(static_cast<double>(above[l]) / static_cast<double>(below[l]));
    }
};

struct BinSums {
    vf difference = {}, target = {};
    LogSum log;
};

// Squared magnitudes of a chunk's bins, before eps; then the factors of P in the two gradients.
struct Chunk {
    static constexpr int PAIRS = 24;
    vf prediction[2 * PAIRS], target[2 * PAIRS];
};

NAM_INLINE vf power(Complex a) { return a.re * a.re + a.im * a.im; }

// Power to factor and sums; returns Y / X. `least` is eps; in `floor` it is infinite in lanes without a frame.
template <bool GRADIENT>
NAM_INLINE vf compare(vf& prediction, vf& target, vf least, vf floor, BinSums& sums) {
    // In this order a NaN stays one.
    const vf p = select(prediction < least, least, prediction), y = select(target < least, least, target);
    const vf quotient = square_root(y / p), relative = 1.0f - quotient;  // (X − Y) / X
    sums.difference += p * (relative * relative);
    sums.target += y;
    if (!GRADIENT) return quotient;
    const vf difference = p - y, zero = {};
    const vi passes = prediction >= floor;  // a clamped magnitude does not depend on the signal
    const vi sign = reinterpret_cast<vi>(difference) & SIGN;
    const vf by_log = reinterpret_cast<vf>(reinterpret_cast<vi>(1.0f / p) | sign);
    prediction = select(passes, relative, zero);
    target = select(passes & (difference != zero), by_log, zero);
    return quotient;
}

template <bool GRADIENT>
NAM_INLINE void chunk_factors(Chunk& chunk, int count, vf least, vf floor, BinSums& total) {
    BinSums sums = total;  // in registers: the compiler must assume that `total` is part of the chunk
    for (int i = 0; i < 2 * count; i += 2) {
        const vf one = compare<GRADIENT>(chunk.prediction[i], chunk.target[i], least, floor, sums);
        const vf two = compare<GRADIENT>(chunk.prediction[i + 1], chunk.target[i + 1], least, floor, sums);
        sums.log.add(one, two);
    }
    total = sums;
}

// Bins k and M − k of the real frame's spectrum, from the places of its complex transform (fft.h), with
// a = Z[k], b = Z[M − k]: X[k] = E + T, X[M − k] = conj(E − T), E = a + conj b, T = −i·e^{−2πik/N}·(a − conj b).
NAM_INLINE void separate(Complex& a, Complex& b, const BinPair& pair) {
    const float c = pair.cosine, s = pair.sine;
    const Complex e = {a.re + b.re, a.im - b.im}, f = {a.re - b.re, a.im + b.im};
    const Complex t = {f.im * c - f.re * s, f.re * c + f.im * s};
    a = {e.re + t.re, e.im - t.im};
    b = {e.re - t.re, -(e.im + t.im)};
}

// The adjoint of `separate`.
NAM_INLINE void separate_adjoint(Complex& a, Complex& b, const BinPair& pair) {
    const float c = pair.cosine, s = pair.sine;
    const Complex e = {a.re + b.re, a.im - b.im}, t = {a.re - b.re, a.im + b.im};
    const Complex f = {t.re * s + t.im * c, t.re * c - t.im * s};
    a = {e.re - f.re, e.im + f.im};
    b = {e.re + f.re, f.im - e.im};
}

template <bool GRADIENT>
NAM_INLINE void chunk_powers(const BinPair* pairs, int count, Complex* p, const Complex* y, Chunk& chunk) {
    for (int i = 0; i < count; ++i) {
        const BinPair& pair = pairs[i];
        Complex a = p[pair.first], b = p[pair.second], c = y[pair.first], d = y[pair.second];
        separate(a, b, pair);
        separate(c, d, pair);
        if (GRADIENT) p[pair.first] = a, p[pair.second] = b;
        chunk.prediction[2 * i] = power(a);
        chunk.prediction[2 * i + 1] = power(b);
        chunk.target[2 * i] = power(c);
        chunk.target[2 * i + 1] = power(d);
    }
}

NAM_INLINE void chunk_gradients(const BinPair* pairs, int count, const Chunk& chunk, Complex* p, Complex* y) {
    for (int i = 0; i < count; ++i) {
        const BinPair& pair = pairs[i];
        const Complex a = p[pair.first], b = p[pair.second];
        Complex one = a * chunk.prediction[2 * i], two = b * chunk.prediction[2 * i + 1];
        separate_adjoint(one, two, pair);
        p[pair.first] = one;
        p[pair.second] = two;
        one = a * chunk.target[2 * i], two = b * chunk.target[2 * i + 1];
        separate_adjoint(one, two, pair);
        y[pair.first] = one;
        y[pair.second] = two;
    }
}

// The three bins without a partner. Z[0] holds the real bins 0 and M, as the sum and the difference of its parts;
// Z[M/2] is bin M/2, conjugated. All are doubled, as in `separate`.
template <bool GRADIENT>
NAM_INLINE void single_bins(Complex* p, Complex* y, int middle, vf least, vf floor, BinSums& sums) {
    const vf sum = 2.0f * (p[0].re + p[0].im), difference = 2.0f * (p[0].re - p[0].im);
    const vf target_sum = 2.0f * (y[0].re + y[0].im), target_difference = 2.0f * (y[0].re - y[0].im);
    const Complex bin = p[middle] * splat(2.0f), target_bin = y[middle] * splat(2.0f);
    vf prediction[3] = {sum * sum, difference * difference, power(bin)};
    vf target[3] = {target_sum * target_sum, target_difference * target_difference, power(target_bin)};
    for (int i = 0; i < 3; ++i) sums.log.add(compare<GRADIENT>(prediction[i], target[i], least, floor, sums));
    if (!GRADIENT) return;
    p[0] = {2.0f * (sum * prediction[0] + difference * prediction[1]),
            2.0f * (sum * prediction[0] - difference * prediction[1])};
    y[0] = {2.0f * (sum * target[0] + difference * target[1]), 2.0f * (sum * target[0] - difference * target[1])};
    p[middle] = bin * (2.0f * prediction[2]);
    y[middle] = bin * (2.0f * target[2]);
}

// All bins of two transforms, of the lanes that live.
template <bool GRADIENT>
inline void compare_bins(const StftPlan& plan, Complex* p, Complex* y, vi live, BinSums& sums) {
    const vf least = splat(plan.least), floor = select(live, least, splat(HUGE_VALF));
    single_bins<GRADIENT>(p, y, plan.middle, least, floor, sums);
    Chunk chunk;
    for (int begin = 0; begin < plan.pair_count; begin += Chunk::PAIRS) {
        const BinPair* pairs = plan.pairs + begin;
        const int left = plan.pair_count - begin, count = left < Chunk::PAIRS ? left : Chunk::PAIRS;
        chunk_powers<GRADIENT>(pairs, count, p, y, chunk);
        chunk_factors<GRADIENT>(chunk, count, least, floor, sums);
        if (GRADIENT) chunk_gradients(pairs, count, chunk, p, y);
    }
}

}  // namespace nam::NAM_ISA
