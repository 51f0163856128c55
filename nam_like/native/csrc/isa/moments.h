// Mean and variance of rows, accurate also where the mean is far larger than the deviations from it.
//
// A tile's mean comes first, then the squared deviations from it, while the tile is in the cache. Tiles are put
// together in double precision (Chan, Golub & LeVeque 1979).
#pragma once
#include "../convnet.h"
#include "mix_rows.h"

namespace nam::NAM_ISA {

// C rows at once, because each addition waits for the one before it in its row.
template <int C>
NAM_NOINLINE void add_moments_of(const float* const* rows, ptrdiff_t at, ptrdiff_t before, ptrdiff_t n,
                                 Moments* moments) {
    const ptrdiff_t whole = n / W * W;
    const double share = 1.0 / static_cast<double>(n), weight = static_cast<double>(n) / (before + n);
    vf total[C] = {}, middle[C], deviations[C] = {}, squares[C] = {};
    for (ptrdiff_t t = 0; t < whole; t += W)
        NAM_UNROLL for (int c = 0; c < C; ++c) total[c] += load(rows[c] + at + t);
    if (whole < n)
        NAM_UNROLL for (int c = 0; c < C; ++c) total[c] += load_first(rows[c] + at + whole, n - whole);
    NAM_UNROLL for (int c = 0; c < C; ++c) middle[c] = splat(sum(total[c]) * static_cast<float>(share));
    for (ptrdiff_t t = 0; t < whole; t += W)
        NAM_UNROLL for (int c = 0; c < C; ++c) {
            const vf d = load(rows[c] + at + t) - middle[c];
            deviations[c] += d;
            squares[c] += d * d;
        }
    for (int c = 0; c < C; ++c) {
        // Their sum is not quite zero, since the tile's mean is rounded.
        double off = sum(deviations[c]), around = sum(squares[c]);
        for (ptrdiff_t t = whole; t < n; ++t) {
            const float d = rows[c][at + t] - middle[c][0];
            off += d;
            around += static_cast<double>(d) * d;
        }
        Moments& m = moments[c];
        const double step = middle[c][0] + off * share - m.mean;
        m.mean += step * weight;
        m.squares += around - off * off * share + step * step * weight * static_cast<double>(before);
    }
}

// Adds samples [at, at + n) to the moments of the `before` samples before them.
inline void add_moments(int count, const float* const* rows, ptrdiff_t at, ptrdiff_t before, ptrdiff_t n,
                        Moments* moments) {
    int c = 0;
    for (; c + 4 <= count; c += 4) add_moments_of<4>(rows + c, at, before, n, moments + c);
    for (; c < count; ++c) add_moments_of<1>(rows + c, at, before, n, moments + c);
}

}  // namespace nam::NAM_ISA
