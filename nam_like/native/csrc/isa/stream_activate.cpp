// Everything of a block that works sample by sample: activations, gates, sums and modulations.
#include "../stream_kernels.h"
#include "activations.h"
#include "rational_tanh.h"

namespace nam::NAM_ISA {
namespace {

// with_activation, but tanh is the rational one.
template <class Use>
NAM_INLINE void with_playing(const Activation& activation, float below, Use use) {
    if (activation.kind == Kind::tanh) return use(RationalTanh{});
    with_activation(activation, below, use);
}

// out[t] = sum[t] (+)= f(t)
template <class Map>
NAM_INLINE void put_row(ptrdiff_t n, float* out, float* sum, bool adds, Map f) {
    if (!sum) {
        for (ptrdiff_t t = 0; t < n; t += W) store(out + t, f(t));
    } else if (!out) {
        for (ptrdiff_t t = 0; t < n; t += W) store(sum + t, adds ? load(sum + t) + f(t) : f(t));
    } else if (adds) {
        for (ptrdiff_t t = 0; t < n; t += W) {
            const vf a = f(t);
            store(out + t, a);
            store(sum + t, load(sum + t) + a);
        }
    } else {
        for (ptrdiff_t t = 0; t < n; t += W) {
            const vf a = f(t);
            store(out + t, a);
            store(sum + t, a);
        }
    }
}

template <class F>
NAM_INLINE void plain_row(F f, const StreamActivate& job, int row, ptrdiff_t n) {
    const float* z = job.z.first + row * job.z.stride;
    float* out = job.out.first ? job.out.first + row * job.out.stride : nullptr;
    float* sum = job.sum.first ? job.sum.first + row * job.sum.stride : nullptr;
    put_row(n, out, sum, job.adds, [&](ptrdiff_t t) { return f.value(load(z + t)); });
}

float below(const float* slopes, int row) { return slopes ? slopes[row] : 0.0f; }

void plain(const StreamActivate& job, ptrdiff_t n, int rows) {
    if (job.primary_slopes) {
        for (int row = 0; row < rows; ++row) plain_row(LeakyRelu{job.primary_slopes[row]}, job, row, n);
        return;
    }
    with_playing(job.primary, 0.0f, [&](auto f) {
        for (int row = 0; row < rows; ++row) plain_row(f, job, row, n);
    });
}

// The halves go through a row of their own, so that eleven activations need not be compiled in all pairs.
void paired(const StreamActivate& job, ptrdiff_t n, int rows) {
    float first[STREAM_BLOCK + STREAM_PAD], second[STREAM_BLOCK + STREAM_PAD];
    for (int row = 0; row < rows; ++row) {
        const float* z = job.z.first + row * job.z.stride;
        const float* z2 = job.z.first + (rows + row) * job.z.stride;
        with_playing(job.primary, below(job.primary_slopes, row), [&](auto f) {
            for (ptrdiff_t t = 0; t < n; t += W) store(first + t, f.value(load(z + t)));
        });
        with_playing(job.secondary, below(job.secondary_slopes, row), [&](auto f) {
            for (ptrdiff_t t = 0; t < n; t += W) store(second + t, f.value(load(z2 + t)));
        });
        float* out = job.out.first ? job.out.first + row * job.out.stride : nullptr;
        float* sum = job.sum.first ? job.sum.first + row * job.sum.stride : nullptr;
        if (job.pair == Pair::multiply)
            put_row(n, out, sum, job.adds, [&](ptrdiff_t t) { return load(first + t) * load(second + t); });
        else
            put_row(n, out, sum, job.adds, [&](ptrdiff_t t) {
                const vf share = load(second + t);
                return share * load(first + t) + (1.0f - share) * load(z + t);
            });
    }
}

}  // namespace

void stream_activate(const StreamActivate& job, ptrdiff_t n) {
    if (job.pair == Pair::none) plain(job, n, job.z.rows);
    else paired(job, n, job.z.rows / 2);
}

void stream_modulate(const StreamModulate& job, ptrdiff_t n) {
    for (int row = 0; row < job.x.rows; ++row) {
        const float* x = job.x.first + row * job.x.stride;
        const float* scale = job.scale.first + row * job.scale.stride;
        const float* shift = job.shift.first ? job.shift.first + row * job.shift.stride : nullptr;
        float* out = job.out.first + row * job.out.stride;
        if (shift)
            for (ptrdiff_t t = 0; t < n; t += W)
                store(out + t, load(x + t) * load(scale + t) + load(shift + t));
        else
            for (ptrdiff_t t = 0; t < n; t += W) store(out + t, load(x + t) * load(scale + t));
    }
}

}  // namespace nam::NAM_ISA
