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

struct Gates {
    vf i, f, g, o;
};

NAM_INLINE Gates activate(vf i, vf f, vf g, vf o) {
    const Exponential ei = short_exponential(-saturate(i)), ef = short_exponential(-saturate(f)),
                      eo = short_exponential(-saturate(o)), eg = short_exponential(saturate(g + g));
    const vf di = 1.0f + (ei.scale * ei.rest + ei.scale), df = 1.0f + (ef.scale * ef.rest + ef.scale),
             d_o = 1.0f + (eo.scale * eo.rest + eo.scale);
    const vf m = eg.scale * eg.rest + (eg.scale - 1.0f), dg = m + 2.0f;
    const vf p = di * df, q = dg * d_o, both = 1.0f / (p * q);
    const vf one_p = both * q, one_q = both * p;
    return {one_p * df, one_p * di, m * (one_q * d_o), one_q * dg};
}

NAM_INLINE vf cell_tanh(vf c) {
    const Exponential e = short_exponential(saturate(c + c));
    const vf m = e.scale * e.rest + (e.scale - 1.0f);
    return m / (m + 2.0f);
}

}  // namespace nam::NAM_ISA
