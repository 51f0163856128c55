// dot_rows: products of rows, summed over time. The gradient of mix_rows with respect to its weights.
//
//     sums[c][j] += Σ_t gradient[c][t] · source[j][t]
//
// The sums stay vectors over lanes until sum_dots adds them up, once per layer, because a tile of time is too
// short to pay for adding lanes. A source of ones gives the gradient of a bias.
#pragma once
#include "mix_rows.h"

namespace nam::NAM_ISA {

template <int C, int J>
NAM_INLINE void dot_block(const float* const* gradients, ptrdiff_t gradient_at, const float* const* sources,
                          ptrdiff_t source_at, ptrdiff_t n, float* sums) {
    vf acc[J][C];
    for (int j = 0; j < J; ++j)
        for (int c = 0; c < C; ++c) acc[j][c] = load(sums + (j * C + c) * W);
    ptrdiff_t t = 0;
    for (; t + W <= n; t += W) {
        vf x[J];
        for (int j = 0; j < J; ++j) x[j] = load(sources[j] + source_at + t);
        for (int c = 0; c < C; ++c) {
            const vf g = load(gradients[c] + gradient_at + t);
            for (int j = 0; j < J; ++j) acc[j][c] += g * x[j];
        }
    }
    if (t < n) {
        for (int c = 0; c < C; ++c) {
            const vf g = load_first(gradients[c] + gradient_at + t, n - t);
            for (int j = 0; j < J; ++j)
                acc[j][c] += g * load_first(sources[j] + source_at + t, n - t);
        }
    }
    for (int j = 0; j < J; ++j)
        for (int c = 0; c < C; ++c) store(sums + (j * C + c) * W, acc[j][c]);
}

template <int C>
void dot_channels(Rows gradients, Rows sources, int count, ptrdiff_t n, float* sums) {
    constexpr int J = across(C);
    int j = 0;
    for (; j + J <= count; j += J, sums += J * C * W)
        dot_block<C, J>(gradients.row, gradients.at, sources.row + j, sources.at, n, sums);
    for (; j < count; ++j, sums += C * W)
        dot_block<C, 1>(gradients.row, gradients.at, sources.row + j, sources.at, n, sums);
}

// `sums` holds channels × count vectors of W lanes, which the caller zeroes before the first tile.
inline void dot_rows(int channels, Rows gradients, Rows sources, int count, ptrdiff_t n, float* sums) {
    while (channels > 0) {
        const int block = next_block(channels);
        switch (block) {
            case 1: dot_channels<1>(gradients, sources, count, n, sums); break;
            case 2: dot_channels<2>(gradients, sources, count, n, sums); break;
            case 3: dot_channels<3>(gradients, sources, count, n, sums); break;
            case 4: dot_channels<4>(gradients, sources, count, n, sums); break;
            default:
                if constexpr (WIDE) {
                    if (block == 6) dot_channels<6>(gradients, sources, count, n, sums);
                    else dot_channels<8>(gradients, sources, count, n, sums);
                }
        }
        sums += static_cast<size_t>(block) * count * W;
        gradients.row += block;
        channels -= block;
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
