// The nonlinearities of an LSTM cell.
//
// They cost as much as half of the matrix product, so they are written for this use: arguments beyond ±21 are as
// good as ±21 (the sigmoid is within 1e-9 of its limit), so that nothing overflows, and the four gates share one
// division: 1/a and 1/b are b/(ab) and a/(ab).
#pragma once
#include "exponential.h"

namespace nam::NAM_ISA {

inline constexpr float SATURATED = 21.0f;

NAM_INLINE vf saturate(vf x) { return max(splat(-SATURATED), min(splat(SATURATED), x)); }

// As exponential(), but for |x| ≤ 21, where ln 2 needs no second part.
NAM_INLINE Exponential short_exponential(vf x) {
    const vf shifted = x * 1.44269504f + EXPONENT_SHIFT;
    const vf n = shifted - EXPONENT_SHIFT;
    return scaled_exponential(shifted, x - n * 0.693147181f);
}

// Sums of a gate are multiplied with this when the weights are packed, so that all gates want e to the power of them.
NAM_INLINE float gate_factor(int gate) { return gate == 2 ? 2.0f : -1.0f; }

// Of the four sums, in place: 1 + e^−x of the sigmoids i, f and o, and e^2x − 1 of the tanh g.
NAM_INLINE void exponentiate(float* gates) {
    for (int gate = 0; gate < 4; ++gate) {
        const Exponential e = short_exponential(saturate(load(gates + gate * W)));
        const vf result = gate == 2 ? e.scale * e.rest + (e.scale - 1.0f) : 1.0f + (e.scale * e.rest + e.scale);
        store(gates + gate * W, result);
    }
}

struct Gates {
    vf i, f, g, o;
};

// From what exponentiate() left.
NAM_INLINE Gates activated(const float* gates) {
    const vf di = load(gates), df = load(gates + W), m = load(gates + 2 * W), d_o = load(gates + 3 * W);
    const vf dg = m + 2.0f, p = di * df, q = dg * d_o, both = 1.0f / (p * q);
    const vf one_p = both * q, one_q = both * p;
    return {one_p * df, one_p * di, m * (one_q * d_o), one_q * dg};
}

NAM_INLINE vf cell_tanh(vf c) {
    const Exponential e = short_exponential(saturate(c + c));
    const vf m = e.scale * e.rest + (e.scale - 1.0f);
    return m / (m + 2.0f);
}

}  // namespace nam::NAM_ISA
