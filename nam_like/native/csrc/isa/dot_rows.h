// dot_rows: products of rows, summed over time. The gradient of mix_rows with respect to its weights.
//
//     sums[c][j] += Σ_t gradient[c][t] · source[j][t]
//
// The sums stay vectors over lanes until sum_dots adds them up, once per layer, because a tile of time is too
// short to pay for adding lanes. sum_rows is the same against ones: the gradient of a bias.
#pragma once
#include "mix_rows.h"

namespace nam::NAM_ISA {

// How far from what is read now lies what will be read next: dot_rows asks for it to be brought to the cache. The
// requests are spread over the arithmetic, because a processor waits when more than some twenty are on their way.
inline constexpr ptrdiff_t LINE = 16;  // floats of a cache line

// Not inlined, for the sake of its registers, as mix_channels. `n` is a whole number of vectors.
template <int C, int J>
NAM_NOINLINE void dot_block(const float* const* gradients, ptrdiff_t gradient_at, const float* const* sources,
                            ptrdiff_t source_at, ptrdiff_t n, ptrdiff_t ahead, float* sums) {
    const float *g[C], *s[J];
    NAM_UNROLL for (int c = 0; c < C; ++c) g[c] = gradients[c] + gradient_at + n;
    NAM_UNROLL for (int j = 0; j < J; ++j) s[j] = sources[j] + source_at + n;
    // From zero, and added to the sums at the end: nothing waits for them then, should they not be in the cache.
    vf acc[J][C];
    NAM_UNROLL for (int j = 0; j < J; ++j)
        NAM_UNROLL for (int c = 0; c < C; ++c) acc[j][c] = vf{};
    for (ptrdiff_t t = -n; t != 0; t += W) {
        vf x[J];
        NAM_UNROLL for (int j = 0; j < J; ++j) x[j] = load(s[j] + t);
        NAM_UNROLL for (int j = 0; j < J; ++j) __builtin_prefetch(s[j] + t + ahead, 0, 3);
        NAM_UNROLL for (int c = 0; c < C; ++c) {
            const vf gradient = load(g[c] + t);
            NAM_UNROLL for (int j = 0; j < J; ++j) acc[j][c] += gradient * x[j];
        }
    }
    NAM_UNROLL for (int j = 0; j < J; ++j)
        NAM_UNROLL for (int c = 0; c < C; ++c) store(sums + (j * C + c) * W, load(sums + (j * C + c) * W) + acc[j][c]);
}

// The last n < W samples: copied to vectors whose other lanes are zero, because what lies beyond must not count.
template <int C, int J>
NAM_NOINLINE void dot_rest(const float* const* gradients, ptrdiff_t gradient_at, const float* const* sources,
                           ptrdiff_t source_at, ptrdiff_t n, float* sums) {
    float cut[(C + J) * W];
    const float* row[C + J];
    for (int i = 0; i < C + J; ++i) {
        row[i] = cut + i * W;
        const float* from = i < C ? gradients[i] + gradient_at : sources[i - C] + source_at;
        store(cut + i * W, load_first(from, n));
    }
    dot_block<C, J>(row, 0, row + C, 0, W, 0, sums);
}

// All channels of a block against `count` sources, as many at once as the registers allow, then fewer.
template <int C, int J>
NAM_INLINE void dot_sources(Rows gradients, Rows sources, int count, ptrdiff_t n, ptrdiff_t ahead, float* sums) {
    const ptrdiff_t whole = n / W * W;
    for (; count >= J; count -= J) {
        if (whole) dot_block<C, J>(gradients.row, gradients.at, sources.row, sources.at, whole, ahead, sums);
        if (whole != n)
            dot_rest<C, J>(gradients.row, gradients.at + whole, sources.row, sources.at + whole, n - whole, sums);
        sources.row += J;
        sums += C * J * W;
    }
    if constexpr (J > 1)
        if (count) dot_sources<C, (J > 8 ? 8 : J > 4 ? 4 : J > 2 ? 2 : 1)>(gradients, sources, count, n, ahead, sums);
}

// `sums` holds channels × count vectors of W lanes, which the caller zeroes before the first tile: for each block
// of channels all sources, for each source the channels of the block.
inline void dot_rows(int channels, Rows gradients, Rows sources, int count, ptrdiff_t n, ptrdiff_t ahead,
                     float* sums) {
    for (int j = 0; j < count; j += 12) {
        const int wide = count - j < 12 ? count - j : 12;
        for (int c = 0; c < channels;) {
            const int block = next_block(channels - c);
            const Rows g{gradients.row + c, gradients.at};
            float* to = sums + (static_cast<size_t>(c) * count + static_cast<size_t>(j) * block) * W;
            const Rows of{sources.row + j, sources.at};
            switch (block) {
                case 1: dot_sources<1, across(1)>(g, of, wide, n, ahead, to); break;
                case 2: dot_sources<2, across(2)>(g, of, wide, n, ahead, to); break;
                case 3: dot_sources<3, across(3)>(g, of, wide, n, ahead, to); break;
                case 4: dot_sources<4, across(4)>(g, of, wide, n, ahead, to); break;
                default:
                    if constexpr (WIDE) {
                        if (block == 6) dot_sources<6, across(6)>(g, of, wide, n, ahead, to);
                        else dot_sources<8, across(8)>(g, of, wide, n, ahead, to);
                    }
            }
            c += block;
        }
    }
}

// sums[c] += Σ_t gradient[c][t], a vector each.
inline void sum_rows(int channels, Rows gradients, ptrdiff_t n, float* sums) {
    for (int c = 0; c < channels; ++c, sums += W) {
        const float* g = gradients.row[c] + gradients.at;
        vf total = load(sums);
        ptrdiff_t t = 0;
        for (; t + W <= n; t += W) total += load(g + t);
        if (t < n) total += load_first(g + t, n - t);
        store(sums, total);
    }
}

// Adds the lanes up: out[c * row_stride + j * column_stride] += sum of (c, j).
inline void sum_dots(int channels, int sources, const float* sums, float* out, ptrdiff_t row_stride,
                     ptrdiff_t column_stride) {
    for (int c = 0; c < channels;) {
        const int block = next_block(channels - c);
        for (int j = 0; j < sources; ++j)
            for (int i = 0; i < block; ++i, sums += W)
                out[(c + i) * row_stride + j * column_stride] += sum(load(sums));
        c += block;
    }
}
inline void sum_lanes(int channels, const float* sums, float* out) {
    for (int c = 0; c < channels; ++c) out[c] += sum(load(sums + c * W));
}

}  // namespace nam::NAM_ISA
