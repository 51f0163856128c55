// LSTMs sample by sample: nothing can be computed for several samples at once, so vectors run over the units.
//
// A unit's four gates are sums over all sources, one after the other, and a sum waits four cycles for each addition.
// Eight running sums keep the multipliers busy: the gates of two vectors of units, or of one vector in two sums each.
//
// Layers advance as a wave: at step s, layer l works on sample s − l. What it hears from the layer below is known
// since the step before, so the processor begins its products while the activations of the other layer still wait
// for each other. The order of additions is the same in a block of any length.
//
// Weights: per layer and vector of units [bias and sources][gate i, f, g, o][W]; those of the sigmoids are halved,
// because σ(z) = (tanh(z / 2) + 1) / 2.
#include "../stream_kernels.h"
#include "activations.h"
#include "rational_tanh.h"

namespace nam::NAM_ISA {
namespace {

constexpr int GATES = 4 * W;  // floats of the four gates of a vector of units

// The plugins' tanh. Beyond 10⁴ it no longer changes, and the product of two denominators would overflow.
struct PluginTanh {
    static Ratio ratio(vf x) {
        x = min(splat(1e4f), max(splat(-1e4f), x));
        const vf s = abs(x);
        return {x * Fasttanh::above(s), Fasttanh::below(s)};
    }
};

struct Shape {
    int layers, hidden, vectors;
    ptrdiff_t units;
    Shape(int layers, int hidden)
        : layers(layers), hidden(hidden), vectors((hidden + W - 1) / W), units(ptrdiff_t{vectors} * W) {}
    int sources(int layer) const { return hidden + (layer ? hidden : 1); }
    ptrdiff_t floats_of_vector(int layer) const { return ptrdiff_t{sources(layer) + 1} * GATES; }
    ptrdiff_t floats_of_layer(int layer) const { return vectors * floats_of_vector(layer); }
};

// Sums over `count` sources into K sums per gate of P vectors of units; `next` is from one vector's weights to the next.
template <int P, int K>
NAM_INLINE const float* add_sources(const float* weights, ptrdiff_t next, const float* sources, int count,
                                    vf (&sums)[K][P][4]) {
    int j = 0;
    for (; j + K <= count; j += K, weights += K * GATES)
        NAM_UNROLL for (int k = 0; k < K; ++k) {
            const vf x = splat(sources[j + k]);
            NAM_UNROLL for (int p = 0; p < P; ++p)
                NAM_UNROLL for (int gate = 0; gate < 4; ++gate)
                    sums[k][p][gate] += x * load(weights + p * next + k * GATES + gate * W);
        }
    if constexpr (K > 1)
        for (; j < count; ++j, weights += GATES) {
            const vf x = splat(sources[j]);
            NAM_UNROLL for (int p = 0; p < P; ++p)
                NAM_UNROLL for (int gate = 0; gate < 4; ++gate)
                    sums[0][p][gate] += x * load(weights + p * next + gate * W);
        }
    return weights;
}

// tanh of two values with one division.
template <class T>
NAM_INLINE void two_tanh(vf& a, vf& b) {
    const Ratio u = T::ratio(a), v = T::ratio(b);
    const vf both = 1.0f / (u.below * v.below);
    a = u.above * (v.below * both);
    b = v.above * (u.below * both);
}

// The gates of a vector of units → its c, in place, and its h.
template <class T>
NAM_INLINE vf update(const vf (&gates)[4], float* c) {
    vf i = gates[0], f = gates[1], g = gates[2], o = gates[3];
    two_tanh<T>(i, f);
    two_tanh<T>(g, o);
    const vf cell = (0.5f * f + 0.5f) * load(c) + (0.5f * i + 0.5f) * g;
    store(c, cell);
    const Ratio r = T::ratio(cell);
    return (0.5f * o + 0.5f) * (r.above / r.below);
}

// One sample through P vectors of units of a layer.
template <class T, int P, int K>
NAM_INLINE void step(const float* weights, ptrdiff_t next, const float* below, int inputs, const float* h, int hidden,
                     float* h_next, float* c) {
    vf sums[K][P][4];
    NAM_UNROLL for (int p = 0; p < P; ++p)
        NAM_UNROLL for (int gate = 0; gate < 4; ++gate) {
            sums[0][p][gate] = load(weights + p * next + gate * W);
            NAM_UNROLL for (int k = 1; k < K; ++k) sums[k][p][gate] = vf{};
        }
    weights = add_sources<P, K>(weights + GATES, next, below, inputs, sums);
    add_sources<P, K>(weights, next, h, hidden, sums);
    NAM_UNROLL for (int p = 0; p < P; ++p) {
        NAM_UNROLL for (int k = 1; k < K; ++k)
            NAM_UNROLL for (int gate = 0; gate < 4; ++gate) sums[0][p][gate] += sums[k][p][gate];
        store(h_next + p * W, update<T>(sums[0][p], c + p * W));
    }
}

template <class T>
class Wave {
public:
    explicit Wave(const StreamLstm& job) : job_(job), shape_(job.layers, job.hidden) {}

    void run(int n) const {
        float heard[STREAM_BLOCK * W];  // per sample, the products of the output, not yet summed over the vector
        for (int s = 0; s < n + shape_.layers - 1; ++s) {
            const float* weights = job_.weights;
            for (int l = 1; l < shape_.layers; ++l) weights += shape_.floats_of_layer(l - 1);
            for (int l = shape_.layers - 1; l >= 0; --l) {
                const int t = s - l;
                if (t >= 0 && t < n) sample(l, t, weights);
                if (l > 0) weights -= shape_.floats_of_layer(l - 1);
            }
            const int t = s - shape_.layers + 1;
            if (t >= 0) store(heard + t * W, output(row(shape_.layers - 1, t + 1)));
        }
        for (int t = 0; t < n; ++t) {
            float y = job_.head_bias;
            for (int i = 0; i < W; ++i) y += heard[t * W + i];
            job_.y[t] = y;
        }
        if (n % 2)
            for (int l = 0; l < shape_.layers; ++l)
                for (ptrdiff_t u = 0; u < shape_.units; u += W) store(row(l, 0) + u, load(row(l, 1) + u));
    }

private:
    // h after t samples of this block; there are two of them in turn.
    float* row(int layer, int t) const { return job_.state + (3 * layer + t % 2) * shape_.units; }

    void sample(int l, int t, const float* weights) const {
        const float *below = l ? row(l - 1, t + 1) : job_.x + t, *h = row(l, t);
        const int inputs = l ? shape_.hidden : 1;
        const ptrdiff_t next = shape_.floats_of_vector(l);
        float *h_next = row(l, t + 1), *c = job_.state + (3 * l + 2) * shape_.units;
        int v = 0;
        for (; v + 2 <= shape_.vectors; v += 2)
            step<T, 2, 1>(weights + v * next, next, below, inputs, h, shape_.hidden, h_next + v * W, c + v * W);
        if (v < shape_.vectors)
            step<T, 1, 2>(weights + v * next, next, below, inputs, h, shape_.hidden, h_next + v * W, c + v * W);
    }

    vf output(const float* h) const {
        vf sum = load(job_.head) * load(h);
        for (ptrdiff_t u = W; u < shape_.units; u += W) sum += load(job_.head + u) * load(h + u);
        return sum;
    }

    const StreamLstm& job_;
    const Shape shape_;
};

}  // namespace

ptrdiff_t stream_lstm_units(int hidden) { return Shape(1, hidden).units; }

ptrdiff_t stream_lstm_packed(int layers, int hidden) {
    const Shape shape(layers, hidden);
    ptrdiff_t floats = 0;
    for (int l = 0; l < layers; ++l) floats += shape.floats_of_layer(l);
    return floats;
}

void stream_lstm_pack(const float* weights, int layers, int hidden, float* packed) {
    const Shape shape(layers, hidden);
    for (int l = 0; l < layers; ++l) {
        const int sources = shape.sources(l);
        const float* bias = weights + ptrdiff_t{4} * hidden * sources;
        for (int v = 0; v < shape.vectors; ++v)
            for (int j = -1; j < sources; ++j)
                for (int gate = 0; gate < 4; ++gate)
                    for (int i = 0; i < W; ++i) {
                        const int unit = v * W + i;
                        const ptrdiff_t line = ptrdiff_t{gate} * hidden + unit;
                        const float half = gate == 2 ? 1.0f : 0.5f;
                        *packed++ = unit >= hidden ? 0.0f : half * (j < 0 ? bias[line] : weights[line * sources + j]);
                    }
        weights = bias + ptrdiff_t{4} * hidden;
    }
}

void stream_lstm(const StreamLstm& job, ptrdiff_t n) {
    if (job.fast) Wave<PluginTanh>(job).run(static_cast<int>(n));
    else Wave<RationalTanh>(job).run(static_cast<int>(n));
}

}  // namespace nam::NAM_ISA
