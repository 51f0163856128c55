// exp, tanh and sigmoid, to a few units in the last place.
//
// exp(x) = 2ⁿ · eʳ with n = round(x / ln 2) and |r| ≤ ln 2 / 2, where a polynomial gives eʳ − 1 = r · q(r). sigmoid
// uses the negative half axis only, where nothing overflows, and takes the sign back afterwards.
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

// For −87.3 ≤ x ≤ 88.3 only.
NAM_INLINE vf bounded_exp(vf x) {
    const Exponential e = exponential(x);
    return e.scale * e.rest + e.scale;
}

// Any x: squaring e^(x/2) overflows and underflows where eˣ does.
NAM_INLINE vf exp(vf x) {
    const vf root = bounded_exp(max(splat(-87.0f), min(splat(87.0f), 0.5f * x)));
    return root * root;
}

// A rational function of x: exp and its division would take nearly twice as long. Fitted to tanh by iteratively
// reweighted least squares for the smallest relative error, 2e-9 before rounding; beyond the limit tanh is 1 to
// within 3e-7. The result never exceeds 1.
NAM_INLINE vf tanh(vf x) {
    x = max(splat(-7.9f), min(splat(7.9f), x));
    const vf s = x * x;
    vf above = splat(-1.19238481e-13f);
    above = above * s + 6.48261722e-11f;
    above = above * s - 2.2525068e-08f;
    above = above * s + 1.16894253e-05f;
    above = above * s + 3.15363868e-03f;
    above = above * s + 0.131281242f;
    above = above * s + 1.0f;
    vf below = splat(2.61931826e-04f);
    below = below * s + 2.46918499e-02f;
    below = below * s + 0.46461454f;
    below = below * s + 1.0f;
    return above * x / below;
}

NAM_INLINE vf sigmoid(vf x) {
    const vf e = bounded_exp(max(splat(-87.0f), -abs(x)));
    const vf large = 1.0f / (1.0f + e);
    return select(x < 0.0f, e * large, large);
}

}  // namespace nam::NAM_ISA
