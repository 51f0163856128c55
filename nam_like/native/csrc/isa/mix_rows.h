// mix_rows: every output row is a weighted sum of input rows.
//
//     out[c][t] = bias[c] + base[c][t] + Σ_j weight[c][j] · source[j][t]
//
// A row is a signal over time. With the sources of a dilated convolution (each input channel once per tap,
// shifted by the dilation), this is the convolution; with one source per channel it is a 1×1; with transposed
// weights it is the gradient of either with respect to its input. Nearly all arithmetic of a forward pass and
// half of a backward pass runs through the one loop in mix_block.
//
// Time runs along the vectors, so no channel count wastes lanes, and a shifted row costs an unaligned load.
#pragma once
#include "blocks.h"

namespace nam::NAM_ISA {

// Rows are handed over as pointers to their sample 0 and a common position.
struct Rows {
    const float* const* row;
    ptrdiff_t at;
};
struct OutRows {
    float* const* row;
    ptrdiff_t at;
};

// Floats that packed weights take (no padding: blocks follow each other).
NAM_INLINE size_t packed_size(int channels, int sources) { return static_cast<size_t>(channels) * sources; }

// weights(c, j) = from[c * row_stride + j * column_stride]  →  blocks of [sources][channels of the block].
NAM_INLINE void pack_weights(const float* from, ptrdiff_t row_stride, ptrdiff_t column_stride, int channels,
                             int sources, int first_source, int all_sources, float* to) {
    for (int c = 0; c < channels;) {
        const int block = next_block(channels - c);
        for (int j = 0; j < sources; ++j)
            for (int i = 0; i < block; ++i)
                to[static_cast<size_t>(c) * all_sources + static_cast<size_t>(first_source + j) * block + i] =
                    from[(c + i) * row_stride + j * column_stride];
        c += block;
    }
}

// One block: C channels × V vectors of time stay in registers while all sources pass by.
template <int C, int V>
NAM_INLINE void mix_block(const float* weights, const float* const* sources, int count, ptrdiff_t at,
                          const float* bias, const float* const* base, ptrdiff_t base_at, vf (&acc)[C][V]) {
    NAM_UNROLL for (int c = 0; c < C; ++c) {
        const vf start = splat(bias ? bias[c] : 0.0f);
        NAM_UNROLL for (int v = 0; v < V; ++v) acc[c][v] = start;
    }
    if (base)
        NAM_UNROLL for (int c = 0; c < C; ++c)
            NAM_UNROLL for (int v = 0; v < V; ++v) acc[c][v] += load(base[c] + base_at + v * W);
    for (const float* end = weights + C * count; weights != end; weights += C) {
        const float* source = *sources++ + at;
        vf x[V];
        NAM_UNROLL for (int v = 0; v < V; ++v) x[v] = load(source + v * W);
        NAM_UNROLL for (int c = 0; c < C; ++c) {
            const vf w = splat(weights[c]);
            NAM_UNROLL for (int v = 0; v < V; ++v) acc[c][v] += w * x[v];
        }
    }
}

// Not inlined: in a function of its own the block has all registers, and none of the sums is spilled to memory.
template <int C>
NAM_NOINLINE void mix_channels(const float* weights, Rows sources, int count, const float* bias, Rows base,
                               OutRows out, ptrdiff_t n) {
    constexpr int V = across(C);
    ptrdiff_t t = 0;
    for (; t + V * W <= n; t += V * W) {
        vf acc[C][V];
        mix_block<C, V>(weights, sources.row, count, sources.at + t, bias, base.row, base.at + t, acc);
        NAM_UNROLL for (int c = 0; c < C; ++c) {
            float* to = out.row[c] + out.at + t;
            NAM_UNROLL for (int v = 0; v < V; ++v) store(to + v * W, acc[c][v]);
        }
    }
    for (; t < n; t += W) {
        vf acc[C][1];
        mix_block<C, 1>(weights, sources.row, count, sources.at + t, bias, base.row, base.at + t, acc);
        NAM_UNROLL for (int c = 0; c < C; ++c) {
            float* to = out.row[c] + out.at + t;
            if (t + W <= n) store(to, acc[c][0]);
            else store_first(to, acc[c][0], n - t);
        }
    }
}

inline void mix_step(int channels, const float* weights, Rows sources, int count, const float* bias, Rows base,
                     OutRows out, ptrdiff_t n) {
    while (channels > 0) {
        const int block = next_block(channels);
        switch (block) {
            case 1: mix_channels<1>(weights, sources, count, bias, base, out, n); break;
            case 2: mix_channels<2>(weights, sources, count, bias, base, out, n); break;
            case 3: mix_channels<3>(weights, sources, count, bias, base, out, n); break;
            case 4: mix_channels<4>(weights, sources, count, bias, base, out, n); break;
            default:
                if constexpr (WIDE) {
                    if (block == 6) mix_channels<6>(weights, sources, count, bias, base, out, n);
                    else mix_channels<8>(weights, sources, count, bias, base, out, n);
                }
        }
        weights += static_cast<size_t>(block) * count;
        if (bias) bias += block;
        if (base.row) base.row += block;
        out.row += block;
        channels -= block;
    }
}

// Rows must be readable for one vector past their last sample. `bias` and `base.row` may be null; `base` may be
// `out` itself.
inline void mix_rows(int channels, const float* weights, Rows sources, int count, const float* bias, Rows base,
                     OutRows out, ptrdiff_t n) {
    for (; n > 0; n -= STEP) {
        mix_step(channels, weights, sources, count, bias, base, out, n < STEP ? n : STEP);
        sources.at += STEP;
        base.at += STEP;
        out.at += STEP;
    }
}

}  // namespace nam::NAM_ISA
