// tanh as a ratio of polynomials: half the work of the one in exponential.h, for playing.
//
//     tanh x ≈ x · P(x²) / Q(x²),  |x| clamped to 8.4, where 1 − tanh x is below half a unit in the last place
//
// P and Q of degree 4 are a minimax fit (relative error 1.1e-8); evaluated in float32 it is within 4e-7 of tanh.
// Not-a-number passes through.
#pragma once
#include "vec.h"

namespace nam::NAM_ISA {

// A value before its division.
struct Ratio {
    vf above, below;
};

struct RationalTanh {
    static vf value(vf x) {
        const Ratio r = ratio(x);
        return r.above / r.below;
    }
    static Ratio ratio(vf x) {
        x = min(splat(8.4f), max(splat(-8.4f), x));
        const vf s = x * x;
        vf p = splat(P4), q = splat(Q4);
        p = p * s + P3, q = q * s + Q3;
        p = p * s + P2, q = q * s + Q2;
        p = p * s + P1, q = q * s + Q1;
        p = p * s + 1.0f, q = q * s + 1.0f;
        return {x * p, q};
    }

private:
    static constexpr float P1 = 1.34195775e-1f, P2 = 3.54161486e-3f, P3 = 2.13797302e-5f, P4 = 1.44577914e-8f;
    static constexpr float Q1 = 4.67528999e-1f, Q2 = 2.60514300e-2f, Q3 = 3.36142286e-4f, Q4 = 8.21993638e-7f;
};

}  // namespace nam::NAM_ISA
