// dot_rows: products of rows, summed over time. The gradient of mix_rows with respect to its weights.
//
//     sums[c][j] += Σ_t gradient[c][t] · source[j][t]
//
// The sums stay vectors over lanes until sum_dots adds them up, once per layer, because a tile of time is too
// short to pay for adding lanes. A source of ones gives the gradient of a bias.
#pragma once
#include "mix_rows.h"

namespace nam::NAM_ISA {

// Not inlined, for the sake of its registers, as mix_channels. `n` is a whole number of vectors.
template <int C, int J>
NAM_NOINLINE void dot_block(const float* const* gradients, ptrdiff_t gradient_at, const float* const* sources,
                            ptrdiff_t source_at, ptrdiff_t n, float* sums) {
    const float *g[C], *s[J];
    NAM_UNROLL for (int c = 0; c < C; ++c) g[c] = gradients[c] + gradient_at + n;
    NAM_UNROLL for (int j = 0; j < J; ++j) s[j] = sources[j] + source_at + n;
    vf acc[J][C];
    NAM_UNROLL for (int j = 0; j < J; ++j)
        NAM_UNROLL for (int c = 0; c < C; ++c) acc[j][c] = load(sums + (j * C + c) * W);
    for (ptrdiff_t t = -n; t != 0; t += W) {
        vf x[J];
        NAM_UNROLL for (int j = 0; j < J; ++j) x[j] = load(s[j] + t);
        NAM_UNROLL for (int c = 0; c < C; ++c) {
            const vf gradient = load(g[c] + t);
            NAM_UNROLL for (int j = 0; j < J; ++j) acc[j][c] += gradient * x[j];
        }
    }
    NAM_UNROLL for (int j = 0; j < J; ++j)
        NAM_UNROLL for (int c = 0; c < C; ++c) store(sums + (j * C + c) * W, acc[j][c]);
}

// The last n < W samples: what is beyond them must not reach the sums, so both sides are cut.
template <int C>
NAM_NOINLINE void dot_rest(const float* const* gradients, ptrdiff_t gradient_at, const float* const* sources,
                           ptrdiff_t source_at, int count, ptrdiff_t n, float* sums) {
    for (int j = 0; j < count; ++j) {
        const vf x = load_first(sources[j] + source_at, n);
        for (int c = 0; c < C; ++c, sums += W)
            store(sums, load(sums) + x * load_first(gradients[c] + gradient_at, n));
    }
}

// J sources against all channels. The sources stay in the first level of cache while the gradients pass by.
template <int C>
NAM_INLINE void dot_sources(Rows gradients, Rows sources, int wide, int count, ptrdiff_t n, float* sums) {
    const ptrdiff_t whole = n / W * W;
    if (count == wide) dot_block<C, across(C)>(gradients.row, gradients.at, sources.row, sources.at, whole, sums);
    else
        for (int j = 0; j < count; ++j)
            dot_block<C, 1>(gradients.row, gradients.at, sources.row + j, sources.at, whole, sums + j * C * W);
    if (whole != n)
        dot_rest<C>(gradients.row, gradients.at + whole, sources.row, sources.at + whole, count, n - whole, sums);
}

// `sums` holds channels × count vectors of W lanes, which the caller zeroes before the first tile: for each block
// of channels all sources, for each source the channels of the block.
inline void dot_rows(int channels, Rows gradients, Rows sources, int count, ptrdiff_t n, float* sums) {
    for (int j = 0; j < count; j += 12) {
        const int wide = count - j < 12 ? count - j : 12;
        for (int c = 0; c < channels;) {
            const int block = next_block(channels - c);
            const Rows g{gradients.row + c, gradients.at};
            float* to = sums + (static_cast<size_t>(c) * count + static_cast<size_t>(j) * block) * W;
            for (int i = 0; i < wide;) {
                const int across_block = across(block);
                const int taken = wide - i < across_block ? wide - i : across_block;
                const Rows s{sources.row + j + i, sources.at};
                float* at = to + static_cast<size_t>(i) * block * W;
                switch (block) {
                    case 1: dot_sources<1>(g, s, across_block, taken, n, at); break;
                    case 2: dot_sources<2>(g, s, across_block, taken, n, at); break;
                    case 3: dot_sources<3>(g, s, across_block, taken, n, at); break;
                    case 4: dot_sources<4>(g, s, across_block, taken, n, at); break;
                    default:
                        if constexpr (WIDE) {
                            if (block == 6) dot_sources<6>(g, s, across_block, taken, n, at);
                            else dot_sources<8>(g, s, across_block, taken, n, at);
                        }
                }
                i += taken;
            }
            c += block;
        }
    }
}

// Adds the lanes up: out[c * row_stride + j - first] += sums of (c, j) for j in [first, first + count).
inline void sum_dots(int channels, int all_sources, int first, int count, const float* sums, float* out,
                     ptrdiff_t row_stride) {
    for (int c = 0; c < channels;) {
        const int block = next_block(channels - c);
        const float* from = sums + static_cast<size_t>(c) * all_sources * W;
        for (int j = 0; j < count; ++j)
            for (int i = 0; i < block; ++i)
                out[(c + i) * row_stride + j] += sum(load(from + (static_cast<size_t>(first + j) * block + i) * W));
        c += block;
    }
}

}  // namespace nam::NAM_ISA
