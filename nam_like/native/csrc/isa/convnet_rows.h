// Normalisation of rows, and its way back.
#pragma once
#include "../convnet.h"
#include "activations.h"

namespace nam::NAM_ISA {

// The mean is taken off first: folded into the shift, it would cancel there.
NAM_INLINE vf normalised(const Normal& normal, vf z) { return (z - normal.mean) * normal.scale + normal.shift; }

inline void normal_row(const Normal& normal, const float* z, float* y, ptrdiff_t n) {
    map_row(n, y, [&](ptrdiff_t t) { return normalised(normal, load(z + t)); });
}

// a = activation(y) in one pass; `a` may be `z` itself.
inline void activate_normal_row(const Activation& activation, float below, const Normal& normal, const float* z,
                                float* a, ptrdiff_t n) {
    with_activation(activation, below, [&](auto f) {
        map_row(n, a, [&](ptrdiff_t t) { return f.value(normalised(normal, load(z + t))); });
    });
}

// dz from dy.
inline void normal_row_back(Normal normal, NormalGradient gradient, const float* z, const float* dy, float* dz,
                            ptrdiff_t n) {
    const vf mean = splat(normal.mean), scale = splat(normal.scale);
    const vf constant = splat(gradient.constant), along = splat(gradient.along);
    map_row(n, dz, [&](ptrdiff_t t) {
        return scale * (load(dy + t) - constant - along * (load(z + t) - mean));
    });
}

// Σ dy · (z − mean)
inline float dot_deviations(const float* dy, const float* z, float mean, ptrdiff_t n) {
    vf even = {}, odd = {};
    ptrdiff_t t = 0;
    for (; t + 2 * W <= n; t += 2 * W) {
        even += load(dy + t) * (load(z + t) - mean);
        odd += load(dy + t + W) * (load(z + t + W) - mean);
    }
    for (; t + W <= n; t += W) even += load(dy + t) * (load(z + t) - mean);
    if (t < n) odd += load_first(dy + t, n - t) * (load_first(z + t, n - t) - mean);
    return sum(even + odd);
}

}  // namespace nam::NAM_ISA
