// Convolutions and 1×1s of a block: mix_rows for blocks of few vectors.
//
// A block of 64 samples is eight vectors of AVX2 or four of AVX-512, so the tiles over time are made equally wide
// (3 + 3 + 2, not 3 + 3 + 1 + 1), and rows come as groups of equal stride, so that a convolution needs one
// address per tap instead of one per tap and channel. There are no remainders: the last vector runs past the block.
#include "../stream_kernels.h"
#include "vec.h"

// Without it compilers keep the sums in memory around the loops and copy them to registers and back.
#define NAM_UNROLL _Pragma("GCC unroll 16")

namespace nam::NAM_ISA {
namespace {

constexpr bool WIDE = REGISTERS >= 32;

// Channels of the next block when `left` are left, and the most vectors beside them: as in blocks.h, but fixed here,
// because stream_pack and stream_mix must agree and short blocks want what they want.
NAM_INLINE int next_channels(int left) {
    if (WIDE && left % 8 == 0) return 8;
    if (WIDE && left % 6 == 0) return 6;
    if (left % 4 == 0) return 4;
    if (left % 3 == 0) return 3;
    return left == 5 ? 3 : left > 4 ? 4 : left;
}
constexpr int most_vectors(int channels) {
    return WIDE ? (channels == 8 ? 3 : channels == 6 ? 4 : channels < 3 ? 8 : 6)
                : (channels == 4 ? 3 : channels == 3 ? 4 : channels == 2 ? 6 : 8);
}

template <int C, int V>
void mix_tile(const float* weights, const StreamMix& job, int row, ptrdiff_t t) {
    vf acc[C][V];
    NAM_UNROLL for (int c = 0; c < C; ++c)
            NAM_UNROLL for (int v = 0; v < V; ++v) acc[c][v] = splat(job.bias[row + c]);
    const SourceRows* const end = job.groups + job.group_count;
    for (const SourceRows* group = job.groups; group != end; ++group) {
        const float* source = group->first + t;
        const ptrdiff_t stride = group->stride;
        const float* const last = weights + static_cast<ptrdiff_t>(group->rows) * C;
        do {
            vf x[V];
            NAM_UNROLL for (int v = 0; v < V; ++v) x[v] = load(source + v * W);
            NAM_UNROLL for (int c = 0; c < C; ++c) {
                const vf w = splat(weights[c]);
                NAM_UNROLL for (int v = 0; v < V; ++v) acc[c][v] += w * x[v];
            }
            source += stride;
            weights += C;
        } while (weights != last);
    }
    float* out = job.out.first + row * job.out.stride + t;
    if (job.base.first) {
        const float* base = job.base.first + row * job.base.stride + t;
        NAM_UNROLL for (int c = 0; c < C; ++c, base += job.base.stride)
            NAM_UNROLL for (int v = 0; v < V; ++v) acc[c][v] += load(base + v * W);
    }
    NAM_UNROLL for (int c = 0; c < C; ++c, out += job.out.stride)
            NAM_UNROLL for (int v = 0; v < V; ++v) store(out + v * W, acc[c][v]);
}

// `vectors` at most most_vectors(C).
template <int C, int V = most_vectors(C)>
NAM_INLINE void mix_some(int vectors, const float* weights, const StreamMix& job, int row, ptrdiff_t t) {
    if constexpr (V > 1) {
        if (vectors < V) return mix_some<C, V - 1>(vectors, weights, job, row, t);
    }
    mix_tile<C, V>(weights, job, row, t);
}

template <int C>
void mix_block_rows(const float* weights, const StreamMix& job, int row, int vectors) {
    int tiles = (vectors + most_vectors(C) - 1) / most_vectors(C);
    for (ptrdiff_t t = 0; tiles > 0; --tiles) {
        const int now = (vectors + tiles - 1) / tiles;
        mix_some<C>(now, weights, job, row, t);
        vectors -= now;
        t += now * W;
    }
}

}  // namespace

void stream_pack(const float* weights, int channels, int sources, float* packed) {
    for (int row = 0; row < channels;) {
        const int block = next_channels(channels - row);
        for (int j = 0; j < sources; ++j)
            for (int c = 0; c < block; ++c) *packed++ = weights[static_cast<size_t>(row + c) * sources + j];
        row += block;
    }
}

void stream_mix(const StreamMix& job, ptrdiff_t n) {
    const int vectors = static_cast<int>((n + W - 1) / W);
    for (int row = 0; row < job.out.rows;) {
        const float* weights = job.weights + static_cast<size_t>(row) * job.sources;
        const int block = next_channels(job.out.rows - row);
        switch (block) {
            case 1: mix_block_rows<1>(weights, job, row, vectors); break;
            case 2: mix_block_rows<2>(weights, job, row, vectors); break;
            case 3: mix_block_rows<3>(weights, job, row, vectors); break;
            case 4: mix_block_rows<4>(weights, job, row, vectors); break;
            default:
                if constexpr (WIDE) {
                    if (block == 6) mix_block_rows<6>(weights, job, row, vectors);
                    else mix_block_rows<8>(weights, job, row, vectors);
                }
        }
        row += block;
    }
}

}  // namespace nam::NAM_ISA
