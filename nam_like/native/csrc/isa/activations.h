// Activation functions of the format on rows of samples, and their derivatives.
//
// Each is a struct with value(z) and slope(...), the derivative. Where slope_from_output() of wavenet.h says so
// (tanh, sigmoid, …), slope takes a, the output; the forward pass then keeps a instead of z, and nothing is
// computed twice. Otherwise it takes z.
#pragma once
#include "../wavenet.h"
#include "exponential.h"
#include "vec.h"

namespace nam::NAM_ISA {

struct Identity {
    vf value(vf z) const { return z; }
    vf slope(vf) const { return splat(1.0f); }
};
struct Tanh {
    vf value(vf z) const { return tanh(z); }
    vf slope(vf a) const { return 1.0f - a * a; }
};
struct Sigmoid {
    vf value(vf z) const { return sigmoid(z); }
    vf slope(vf a) const { return a * (1.0f - a); }
};
struct Relu {
    vf value(vf z) const { return max(z, splat(0.0f)); }
    vf slope(vf a) const { return select(a > 0.0f, splat(1.0f), splat(0.0f)); }
};
struct Hardtanh {
    float low, high;
    vf value(vf z) const { return min(max(z, splat(low)), splat(high)); }
    vf slope(vf a) const { return select((a > low) & (a < high), splat(1.0f), splat(0.0f)); }
};
// Also PReLU, whose slope is trained. Where the slope may be 0 or negative, a does not have the sign of z.
struct LeakyRelu {
    float below;
    vf value(vf z) const { return select(z > 0.0f, z, below * z); }
    vf slope(vf z) const { return select(z > 0.0f, splat(1.0f), splat(below)); }
};
struct Silu {
    vf value(vf z) const { return z * sigmoid(z); }
    vf slope(vf z) const {
        const vf s = sigmoid(z);
        return s * (1.0f + z * (1.0f - s));
    }
};
struct Hardswish {
    vf value(vf z) const { return z * min(max(z + 3.0f, splat(0.0f)), splat(6.0f)) * (1.0f / 6.0f); }
    vf slope(vf z) const {
        const vf inner = z * (1.0f / 3.0f) + 0.5f;
        return select(z <= -3.0f, splat(0.0f), select(z < 3.0f, inner, splat(1.0f)));
    }
};
struct LeakyHardtanh {
    float low, high, below, above;
    vf value(vf z) const {
        const vf inside = min(max(z, splat(low)), splat(high));
        return inside + below * min(z - low, splat(0.0f)) + above * max(z - high, splat(0.0f));
    }
    vf slope(vf z) const {
        return select(z < low, splat(below), select(z > high, splat(above), splat(1.0f)));
    }
};
struct Softsign {
    vf value(vf z) const { return z / (1.0f + abs(z)); }
    vf slope(vf z) const {
        const vf r = 1.0f / (1.0f + abs(z));
        return r * r;
    }
};
struct Softsigmoid {
    vf value(vf z) const { return 0.5f * (1.0f + z / (1.0f + abs(z))); }
    vf slope(vf z) const {
        const vf r = 1.0f / (1.0f + abs(z));
        return 0.5f * r * r;
    }
};
// The rational approximation that realtime plugins use; its derivative by the quotient rule.
struct Fasttanh {
    static constexpr float A = 2.45550750702956f, B = 0.893229853513558f, C = 0.821226666969744f;
    static constexpr float D = 2.44506634652299f, E = 0.814642734961073f;
    // The approximation is z·N(|z|)/M(|z|) with N = A + A·s + (B + C·s)·s² and M = D + (D + s²)·(s + E·s²).
    static vf above(vf s) { return A + A * s + (B + C * s) * (s * s); }
    static vf below(vf s) { return D + (D + s * s) * (s + E * s * s); }
    vf value(vf z) const {
        const vf s = abs(z);
        return z * above(s) / below(s);
    }
    vf slope(vf z) const {
        const vf s = abs(z), n = above(s), m = below(s);
        const vf dn = A + 2.0f * B * s + 3.0f * C * s * s;
        const vf dm = 2.0f * s * (s + E * s * s) + (D + s * s) * (1.0f + 2.0f * E * s);
        return (n + s * dn) / m - s * n * dm / (m * m);
    }
};

// Calls use(function) with the struct of an activation; `below` is the slope of a PReLU in this channel.
template <class Use>
NAM_INLINE void with_activation(const Activation& activation, float below, Use use) {
    const float* c = activation.constants;
    switch (activation.kind) {
        case Kind::identity: return use(Identity{});
        case Kind::tanh: return use(Tanh{});
        case Kind::hardtanh: return use(Hardtanh{c[0], c[1]});
        case Kind::fasttanh: return use(Fasttanh{});
        case Kind::relu: return use(Relu{});
        case Kind::leaky_relu: return use(LeakyRelu{c[0]});
        case Kind::prelu: return use(LeakyRelu{below});
        case Kind::sigmoid: return use(Sigmoid{});
        case Kind::silu: return use(Silu{});
        case Kind::hardswish: return use(Hardswish{});
        case Kind::leaky_hardtanh: return use(LeakyHardtanh{c[0], c[1], c[2], c[3]});
        case Kind::softsign: return use(Softsign{});
        case Kind::softsigmoid: return use(Softsigmoid{});
    }
}

// Slope of channel c below zero, where the activation has trained ones.
NAM_INLINE float slope_below(const Activation& activation, const float* weights, int channel) {
    if (!activation.slopes) return 0.0f;
    return weights[activation.slope_offset + (activation.slopes == 1 ? 0 : channel)];
}

// Calls each(t) for whole vectors and last(t, n) for the rest of a row.
template <class Map>
NAM_INLINE void map_row(ptrdiff_t n, float* out, Map map) {
    ptrdiff_t t = 0;
    for (; t + W <= n; t += W) store(out + t, map(t));
    if (t < n) store_first(out + t, map(t), n - t);
}

// a = activation(z); rows are readable for one vector past n.
inline void activate_row(const Activation& activation, float below, const float* z, float* a, ptrdiff_t n) {
    with_activation(activation, below,
                    [&](auto f) { map_row(n, a, [&](ptrdiff_t t) { return f.value(load(z + t)); }); });
}

// out = gradient · activation'(…), where `kept` is a or z, whichever the activation's slope takes.
inline void slope_row(const Activation& activation, float below, const float* kept, const float* gradient,
                      float* out, ptrdiff_t n) {
    with_activation(activation, below, [&](auto f) {
        map_row(n, out, [&](ptrdiff_t t) { return load(gradient + t) * f.slope(load(kept + t)); });
    });
}

// slope_row, which also adds the vectors it makes to `total`: the gradient of a bias on the way.
inline void slope_row_and_sum(const Activation& activation, float below, const float* kept, const float* gradient,
                              float* out, ptrdiff_t n, float* total) {
    with_activation(activation, below, [&](auto f) {
        vf sum = load(total);
        const auto slope = [&](ptrdiff_t t) { return load(gradient + t) * f.slope(load(kept + t)); };
        ptrdiff_t t = 0;
        for (; t + W <= n; t += W) {
            const vf made = slope(t);
            store(out + t, made);
            sum += made;
        }
        if (t < n) {
            store_first(out + t, slope(t), n - t);
            sum += load_first(out + t, n - t);
        }
        store(total, sum);
    });
}

// Σ gradient · min(z, 0): the gradient of a PReLU's slope.
inline float prelu_slope_gradient(const float* z, const float* gradient, ptrdiff_t n) {
    vf total = {};
    ptrdiff_t t = 0;
    for (; t + W <= n; t += W) total += load(gradient + t) * min(load(z + t), splat(0.0f));
    if (t < n) total += load_first(gradient + t, n - t) * min(load_first(z + t, n - t), splat(0.0f));
    return sum(total);
}

}  // namespace nam::NAM_ISA
