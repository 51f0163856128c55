// Distance and gradient of the spectra of one frame per lane.
//
// Each bin has magnitudes X and Y. Three sums are taken: (X − Y)², Y² and |ln X − ln Y|. Where a gradient is wanted,
// the two spectra are replaced by P·(X − Y)/X and P·sign(X − Y)/X², the gradients of the first and the last sum
// (halved the first, see stft.h), so that nothing but the two spectra travels through the cache.
//
// Logarithms cost nothing: Σ |ln X − ln Y| = ln Π max(X, Y) − ln Π min(X, Y). The two products are kept as
// mantissas and the difference of their exponents, so they cannot overflow, and the only logarithm is taken
// at the very end. Equal magnitudes leave both products equal: identical signals have a distance of exactly 0.
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
#if defined(__AVX512F__)
    if (W == 16) return reinterpret_cast<vf>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(v)));
#elif defined(__AVX__)
    if (W == 8) return reinterpret_cast<vf>(_mm256_sqrt_ps(reinterpret_cast<__m256>(v)));
#elif defined(NAM_X86)
    if (W == 4) return reinterpret_cast<vf>(_mm_sqrt_ps(reinterpret_cast<__m128>(v)));
#elif defined(__aarch64__)
    if (W == 4) return reinterpret_cast<vf>(vsqrtq_f32(reinterpret_cast<float32x4_t>(v)));
#endif
    for (int i = 0; i < W; ++i) v[i] = std::sqrt(v[i]);
    return v;
}

constexpr int32_t MANTISSA = 0x007fffff, ONE = 0x3f800000;

// The logarithm of a product of quotients high / low.
struct LogQuotient {
    vf high = splat(1.0f), low = splat(1.0f);  // in [1, 2)
    vi exponent = {};

    NAM_INLINE void multiply(vf by_high, vf by_low) {
        const vi h = reinterpret_cast<vi>(high * by_high), l = reinterpret_cast<vi>(low * by_low);
        exponent += (h >> 23) - (l >> 23);
        high = reinterpret_cast<vf>((h & MANTISSA) | ONE);
        low = reinterpret_cast<vf>((l & MANTISSA) | ONE);
    }
    // Takes part in the lanes that live.
    NAM_INLINE void multiply(const LogQuotient& other, vi live) {
        exponent += other.exponent & live;
        multiply(select(live, other.high, splat(1.0f)), select(live, other.low, splat(1.0f)));
    }
    double lane(int l) const {
        constexpr double LN2 = 0.693147180559945309417;
        return LN2 * exponent[l] + std::log(static_cast<double>(high[l]) / static_cast<double>(low[l]));
    }
};

struct BinSums {
    vf difference = {}, target = {};
    LogQuotient log;
};

// What one bin adds to a LogQuotient.
struct HighLow {
    vf high, low;
};

// One bin: p and y become the two gradients. `least` is eps; in `floor` it is infinite in lanes without a frame.
template <bool GRADIENT>
NAM_INLINE HighLow compare_bin(Complex& p, Complex& y, vf least, vf floor, BinSums& sums) {
    const vf power = p.re * p.re + p.im * p.im, target_power = y.re * y.re + y.im * y.im;
    // In this order a NaN stays one.
    const vf clamped = select(power < least, least, power);
    const vf target_clamped = select(target_power < least, least, target_power);
    const vf magnitude = square_root(clamped), target = square_root(target_clamped);
    const vf difference = magnitude - target;
    sums.difference += difference * difference;
    sums.target += target_clamped;
    if (GRADIENT) {
        const vf inverse = splat(1.0f) / magnitude;
        const vi passes = power >= floor;  // a clamped magnitude does not depend on the signal
        const vf by_difference = difference * inverse, by_log = copysign(inverse * inverse, difference);
        const vf zero = {};
        const vf first = select(passes, by_difference, zero);
        const vf second = select(passes & (difference != zero), by_log, zero);
        y = {p.re * second, p.im * second};
        p = {p.re * first, p.im * first};
    }
    return {max(magnitude, target), min(magnitude, target)};
}

// Bins k and M − k of the real frame's spectrum, from the places of its complex transform (fft.h), with
// a = Z[k], b = Z[M − k]: X[k] = E + T, X[M − k] = conj(E − T), E = a + conj b, T = −i·e^{−2πik/N}·(a − conj b).
NAM_INLINE void separate(Complex& a, Complex& b, float c, float s) {
    const Complex e = {a.re + b.re, a.im - b.im}, f = {a.re - b.re, a.im + b.im};
    const Complex t = {f.im * c - f.re * s, -(f.re * c + f.im * s)};
    a = e + t;
    b = {e.re - t.re, t.im - e.im};
}

// The adjoint of `separate`.
NAM_INLINE void separate_adjoint(Complex& a, Complex& b, float c, float s) {
    const Complex e = {a.re + b.re, a.im - b.im}, t = {a.re - b.re, a.im + b.im};
    const Complex f = {-(t.re * s + t.im * c), t.re * c - t.im * s};
    a = e + f;
    b = {e.re - f.re, f.im - e.im};
}

// All bins of two transforms.
template <bool GRADIENT>
inline void compare_bins(const StftPlan& plan, Complex* p, Complex* y, vi live, BinSums& sums) {
    const vf least = splat(plan.least), floor = select(live, least, splat(HUGE_VALF));
    // Z[0] holds the two real bins 0 and M: the sum and the difference of its parts (doubled, as in `separate`).
    {
        Complex a = {2.0f * (p[0].re + p[0].im), {}}, b = {2.0f * (p[0].re - p[0].im), {}};
        Complex c = {2.0f * (y[0].re + y[0].im), {}}, d = {2.0f * (y[0].re - y[0].im), {}};
        const HighLow first = compare_bin<GRADIENT>(a, c, least, floor, sums);
        const HighLow last = compare_bin<GRADIENT>(b, d, least, floor, sums);
        sums.log.multiply(first.high * last.high, first.low * last.low);
        if (GRADIENT) {
            p[0] = {2.0f * (a.re + b.re), 2.0f * (a.re - b.re)};
            y[0] = {2.0f * (c.re + d.re), 2.0f * (c.re - d.re)};
        }
    }
    // Z[M/2] is bin M/2, conjugated (and halved).
    {
        Complex& a = p[plan.middle];
        Complex& b = y[plan.middle];
        a = {2.0f * a.re, 2.0f * a.im};
        b = {2.0f * b.re, 2.0f * b.im};
        const HighLow bin = compare_bin<GRADIENT>(a, b, least, floor, sums);
        sums.log.multiply(bin.high, bin.low);
        if (GRADIENT) {
            a = {2.0f * a.re, 2.0f * a.im};
            b = {2.0f * b.re, 2.0f * b.im};
        }
    }
    for (const BinPair* pair = plan.pairs; pair < plan.pairs + plan.pair_count; ++pair) {
        Complex a = p[pair->first], b = p[pair->second], c = y[pair->first], d = y[pair->second];
        separate(a, b, pair->cosine, pair->sine);
        separate(c, d, pair->cosine, pair->sine);
        const HighLow one = compare_bin<GRADIENT>(a, c, least, floor, sums);
        const HighLow two = compare_bin<GRADIENT>(b, d, least, floor, sums);
        sums.log.multiply(one.high * two.high, one.low * two.low);
        if (GRADIENT) {
            separate_adjoint(a, b, pair->cosine, pair->sine);
            separate_adjoint(c, d, pair->cosine, pair->sine);
            p[pair->first] = a;
            p[pair->second] = b;
            y[pair->first] = c;
            y[pair->second] = d;
        }
    }
}

}  // namespace nam::NAM_ISA
