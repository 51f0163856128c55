// Fourier transforms of real frames, one frame per lane, and their adjoint.
//
// Every number below is a vector: lane l belongs to frame l. So there are no shuffles, and one twiddle factor
// serves all lanes.
//
// A real frame x of N = 2M samples is read as M complex numbers z[m] = x[2m] + i·x[2m+1]; their transform Z, the
// pairs of bins Z[k] and Z[M − k], gives the N-point spectrum (stft_bins.h). Half the work of a complex FFT.
//
// The passes are radix 4, decimation in frequency: a block of n numbers becomes four blocks of n/4,
//
//     out_r[j] = w^{jr} · Σ_q in[j + q·n/4] · (−i)^{qr},   w = e^{−2πi/n},
//
// where block r holds the bins k ≡ r (mod 4). Blocks of 4 or 8 are the leaves. Each block is finished before the
// next one begins, so that all but the first pass work in the level-1 cache. The spectrum comes out in the order of
// the digits read backwards; nobody sorts it, for the pairs are found by a table. The adjoint (conjugate transpose)
// is the same graph backwards.
//
// A window is shorter than its FFT (600 of 1024), and the zeros stand at the end. The first pass takes only
// the quarters that have samples; the adjoint's last one computes only what falls under the window.
//
// 16 registers hold a radix-4 butterfly: 8 for data, the rest for twiddles and sums. Per butterfly 28 operations
// stand against 8 loads, 6 broadcasts and 8 stores: a core that adds and multiplies in separate pipes (Zen) is
// then limited by stores and arithmetic alike, others by arithmetic.
#pragma once
#include "../stft.h"
#include "vec.h"

namespace nam::NAM_ISA {

struct Complex {
    vf re, im;
};

NAM_INLINE Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
NAM_INLINE Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
NAM_INLINE Complex operator*(Complex a, vf b) { return {a.re * b, a.im * b}; }
NAM_INLINE Complex times_i(Complex a) { return {-a.im, a.re}; }
// a + i·b and a − i·b: no negation needed.
NAM_INLINE Complex plus_i(Complex a, Complex b) { return {a.re - b.im, a.im + b.re}; }
NAM_INLINE Complex minus_i(Complex a, Complex b) { return {a.re + b.im, a.im - b.re}; }
// Times w = (w[0], w[1]), and times its conjugate.
NAM_INLINE Complex times(Complex a, const float* w) {
    return {a.re * w[0] - a.im * w[1], a.im * w[0] + a.re * w[1]};
}
NAM_INLINE Complex times_conjugate(Complex a, const float* w) {
    return {a.re * w[0] + a.im * w[1], a.im * w[0] - a.re * w[1]};
}

// y_r = Σ_q x_q · (−i)^{qr}, of which only the first INPUTS of x are not zero.
template <int INPUTS>
NAM_INLINE void butterfly(const Complex* x, Complex* y) {
    const Complex even = INPUTS > 2 ? x[0] + x[2] : x[0], odd = INPUTS > 2 ? x[0] - x[2] : x[0];
    if (INPUTS == 1) {
        y[0] = y[1] = y[2] = y[3] = x[0];
        return;
    }
    const Complex sum = INPUTS > 3 ? x[1] + x[3] : x[1], turned = INPUTS > 3 ? x[1] - x[3] : x[1];
    y[0] = even + sum;
    y[1] = minus_i(odd, turned);
    y[2] = even - sum;
    y[3] = plus_i(odd, turned);
}

// x_q = Σ_r y_r · i^{qr}, of which only the first OUTPUTS are wanted.
template <int OUTPUTS>
NAM_INLINE void adjoint_butterfly(const Complex* y, Complex* x) {
    const Complex even = y[0] + y[2], odd = y[1] + y[3];
    x[0] = even + odd;
    if (OUTPUTS > 2) x[2] = even - odd;
    if (OUTPUTS == 1) return;
    const Complex left = y[0] - y[2], right = y[1] - y[3];
    x[1] = plus_i(left, right);
    if (OUTPUTS > 3) x[3] = minus_i(left, right);
}

constexpr float ROOT_HALF = 0.70710678118654752f;
constexpr float EIGHTH[2] = {ROOT_HALF, -ROOT_HALF};         // e^{−2πi/8}
constexpr float THREE_EIGHTHS[2] = {-ROOT_HALF, -ROOT_HALF};  // e^{−2πi·3/8}

NAM_INLINE void leaf4(Complex* z) {
    Complex x[4] = {z[0], z[1], z[2], z[3]};
    butterfly<4>(x, z);
}

NAM_INLINE void adjoint_leaf4(Complex* z) {
    Complex y[4] = {z[0], z[1], z[2], z[3]};
    adjoint_butterfly<4>(y, z);
}

// Even and odd samples through four points each, then one radix-2 step; bins in natural order.
NAM_INLINE void leaf8(Complex* z) {
    const Complex even[4] = {z[0], z[2], z[4], z[6]}, odd[4] = {z[1], z[3], z[5], z[7]};
    Complex a[4], b[4];
    butterfly<4>(even, a);
    butterfly<4>(odd, b);
    const Complex b1 = times(b[1], EIGHTH), b3 = times(b[3], THREE_EIGHTHS);
    z[0] = a[0] + b[0], z[4] = a[0] - b[0];
    z[1] = a[1] + b1, z[5] = a[1] - b1;
    z[2] = minus_i(a[2], b[2]), z[6] = plus_i(a[2], b[2]);
    z[3] = a[3] + b3, z[7] = a[3] - b3;
}

NAM_INLINE void adjoint_leaf8(Complex* z) {
    const Complex a[4] = {z[0] + z[4], z[1] + z[5], z[2] + z[6], z[3] + z[7]};
    const Complex b[4] = {z[0] - z[4], times_conjugate(z[1] - z[5], EIGHTH), times_i(z[2] - z[6]),
                          times_conjugate(z[3] - z[7], THREE_EIGHTHS)};
    Complex even[4], odd[4];
    adjoint_butterfly<4>(a, even);
    adjoint_butterfly<4>(b, odd);
    z[0] = even[0], z[2] = even[1], z[4] = even[2], z[6] = even[3];
    z[1] = odd[0], z[3] = odd[1], z[5] = odd[2], z[7] = odd[3];
}

// One pass over a block of 4·quarter numbers.
NAM_INLINE void split_block(Complex* z, int quarter, const float* twiddles) {
    for (int j = 0; j < quarter; ++j, twiddles += 6) {
        const Complex x[4] = {z[j], z[j + quarter], z[j + 2 * quarter], z[j + 3 * quarter]};
        Complex y[4];
        butterfly<4>(x, y);
        z[j] = y[0];
        z[j + quarter] = times(y[1], twiddles);
        z[j + 2 * quarter] = times(y[2], twiddles + 2);
        z[j + 3 * quarter] = times(y[3], twiddles + 4);
    }
}

NAM_INLINE void join_block(Complex* z, int quarter, const float* twiddles) {
    for (int j = 0; j < quarter; ++j, twiddles += 6) {
        const Complex y[4] = {z[j], times_conjugate(z[j + quarter], twiddles),
                              times_conjugate(z[j + 2 * quarter], twiddles + 2),
                              times_conjugate(z[j + 3 * quarter], twiddles + 4)};
        Complex x[4];
        adjoint_butterfly<4>(y, x);
        for (int q = 0; q < 4; ++q) z[j + q * quarter] = x[q];
    }
}

// All passes over four blocks of n numbers each, n a power of two >= 4.
inline void transform_blocks(Complex* z, int n, const float* twiddles) {
    for (Complex* end = z + 4 * n; z < end; z += n) {
        if (n == 4) {
            leaf4(z);
        } else if (n == 8) {
            leaf8(z);
        } else {
            split_block(z, n / 4, twiddles);
            transform_blocks(z, n / 4, twiddles + 6 * (n / 4));
        }
    }
}

inline void adjoint_blocks(Complex* z, int n, const float* twiddles) {
    for (Complex* end = z + 4 * n; z < end; z += n) {
        if (n == 4) {
            adjoint_leaf4(z);
        } else if (n == 8) {
            adjoint_leaf8(z);
        } else {
            adjoint_blocks(z, n / 4, twiddles + 6 * (n / 4));
            join_block(z, n / 4, twiddles);
        }
    }
}

// The first pass for j = begin … end − 1, where INPUTS quarters have samples under the window.
template <int INPUTS>
NAM_INLINE void split_window(const StftPlan& plan, const float* samples, int begin, int end, Complex* z) {
    const int quarter = plan.half / 4;
    const float* twiddles = plan.twiddles + 6 * begin;
    for (int j = begin; j < end; ++j, twiddles += 6) {
        Complex x[4], y[4];
        for (int q = 0; q < INPUTS; ++q) {
            const int sample = 2 * (j + q * quarter);
            x[q] = {load(samples + sample * W) * plan.window[sample],
                    load(samples + (sample + 1) * W) * plan.window[sample + 1]};
        }
        butterfly<INPUTS>(x, y);
        z[j] = y[0];
        z[j + quarter] = times(y[1], twiddles);
        z[j + 2 * quarter] = times(y[2], twiddles + 2);
        z[j + 3 * quarter] = times(y[3], twiddles + 4);
    }
}

// The adjoint's last pass: adds the windowed result to `samples`.
template <int OUTPUTS>
NAM_INLINE void join_window(const StftPlan& plan, const Complex* z, int begin, int end, float* samples) {
    const int quarter = plan.half / 4;
    const float* twiddles = plan.twiddles + 6 * begin;
    for (int j = begin; j < end; ++j, twiddles += 6) {
        const Complex y[4] = {z[j], times_conjugate(z[j + quarter], twiddles),
                              times_conjugate(z[j + 2 * quarter], twiddles + 2),
                              times_conjugate(z[j + 3 * quarter], twiddles + 4)};
        Complex x[4];
        adjoint_butterfly<OUTPUTS>(y, x);
        for (int q = 0; q < OUTPUTS; ++q) {
            const int sample = 2 * (j + q * quarter);
            float* at = samples + sample * W;
            store(at, load(at) + x[q].re * plan.window[sample]);
            store(at + W, load(at + W) + x[q].im * plan.window[sample + 1]);
        }
    }
}

// Numbers under the window: `full` quarters of the frame, and `rest` of the next one.
struct Filled {
    int full, rest;
};
NAM_INLINE Filled filled(const StftPlan& plan) {
    const int quarter = plan.half / 4, numbers = plan.width / 2;
    return {numbers / quarter, numbers % quarter};
}

// Transforms a frame per lane: `samples` is (width, W), z the M numbers of the spectrum in the order of the passes.
inline void transform(const StftPlan& plan, const float* samples, Complex* z) {
    const int quarter = plan.half / 4;
    const Filled part = filled(plan);
    switch (part.full) {
        case 0:
            split_window<1>(plan, samples, 0, part.rest, z);
            for (int r = 0; r < 4; ++r)
                for (int j = part.rest; j < quarter; ++j) z[r * quarter + j] = Complex{};
            break;
        case 1:
            split_window<2>(plan, samples, 0, part.rest, z);
            split_window<1>(plan, samples, part.rest, quarter, z);
            break;
        case 2:
            split_window<3>(plan, samples, 0, part.rest, z);
            split_window<2>(plan, samples, part.rest, quarter, z);
            break;
        case 3:
            split_window<4>(plan, samples, 0, part.rest, z);
            split_window<3>(plan, samples, part.rest, quarter, z);
            break;
        default:
            split_window<4>(plan, samples, 0, quarter, z);
    }
    transform_blocks(z, quarter, plan.twiddles + 6 * quarter);
}

// The adjoint of `transform`: adds to `samples`; z is used up.
inline void adjoint_transform(const StftPlan& plan, Complex* z, float* samples) {
    const int quarter = plan.half / 4;
    adjoint_blocks(z, quarter, plan.twiddles + 6 * quarter);
    const Filled part = filled(plan);
    switch (part.full) {
        case 0:
            join_window<1>(plan, z, 0, part.rest, samples);
            break;
        case 1:
            join_window<2>(plan, z, 0, part.rest, samples);
            join_window<1>(plan, z, part.rest, quarter, samples);
            break;
        case 2:
            join_window<3>(plan, z, 0, part.rest, samples);
            join_window<2>(plan, z, part.rest, quarter, samples);
            break;
        case 3:
            join_window<4>(plan, z, 0, part.rest, samples);
            join_window<3>(plan, z, part.rest, quarter, samples);
            break;
        default:
            join_window<4>(plan, z, 0, quarter, samples);
    }
}

}  // namespace nam::NAM_ISA
