// exp, tanh and sigmoid, to a few units in the last place.
//
// exp(x) = 2ⁿ · eʳ with n = round(x / ln 2) and |r| ≤ ln 2 / 2. A polynomial gives eʳ − 1 = r · q(r), and from it
// both exp and expm1 without cancellation: expm1(x) = 2ⁿ · (eʳ − 1) + (2ⁿ − 1). tanh and sigmoid use the negative
// half axis only, where nothing overflows, and take the sign back afterwards:
//
//     tanh |x| = −m / (m + 2) with m = expm1(−2|x|),    sigmoid |x| = 1 / (1 + e^−|x|).
//
// Not-a-number comes out where it goes in, so that a diverging training is noticed.
#pragma once
#include "vec.h"

namespace nam::NAM_ISA {

// eˣ = scale · (1 + rest) with a power of two as scale; exact for −87.3 ≤ x ≤ 88.3.
struct Exponential {
    vf scale, rest;
};

// Adding 1.5 · 2²³ rounds to an integer, which then stands in the low bits. With the bias of the exponent added as
// well, a shift makes them the exponent of 2ⁿ.
inline constexpr float EXPONENT_SHIFT = 12582912.0f + 127.0f;

// From n, shifted, and r.
NAM_INLINE Exponential scaled_exponential(vf shifted, vf r) {
    // Minimax polynomial: eʳ − 1 ≈ r + q · r², relative error 1.3e-8.
    vf q = splat(1.38824974e-3f);
    q = q * r + 8.3666468e-3f;
    q = q * r + 4.16672039e-2f;
    q = q * r + 1.66665427e-1f;
    q = q * r + 4.99999981e-1f;
    return {reinterpret_cast<vf>(reinterpret_cast<vi>(shifted) << 23), (q * r) * r + r};
}

NAM_INLINE Exponential exponential(vf x) {
    const vf shifted = x * 1.44269504f + EXPONENT_SHIFT;
    const vf n = shifted - EXPONENT_SHIFT;
    // ln 2 in two parts, the first with so few bits that its product with n is exact.
    return scaled_exponential(shifted, (x - n * 0.693359375f) + n * 2.12194440e-4f);
}

// Both for −87.3 ≤ x ≤ 88.3 only.
NAM_INLINE vf bounded_exp(vf x) {
    const Exponential e = exponential(x);
    return e.scale * e.rest + e.scale;
}
NAM_INLINE vf bounded_expm1(vf x) {
    const Exponential e = exponential(x);
    return e.scale * e.rest + (e.scale - 1.0f);
}

// Any x: squaring e^(x/2) overflows and underflows where eˣ does.
NAM_INLINE vf exp(vf x) {
    const vf root = bounded_exp(max(splat(-87.0f), min(splat(87.0f), 0.5f * x)));
    return root * root;
}

NAM_INLINE vf tanh(vf x) {
    const vf m = bounded_expm1(max(splat(-87.0f), -2.0f * abs(x)));
    return copysign(m / (m + 2.0f), x);
}

NAM_INLINE vf sigmoid(vf x) {
    const vf e = bounded_exp(max(splat(-87.0f), -abs(x)));
    const vf large = 1.0f / (1.0f + e);
    return select(x < 0.0f, e * large, large);
}

}  // namespace nam::NAM_ISA
