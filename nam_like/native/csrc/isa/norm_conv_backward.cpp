// The backward pass of norm, SiLU and convolution, tile by tile.
#include "dot_rows.h"
#include "norm_conv_rows.h"

namespace nam::NAM_ISA {
namespace {

// Output channels whose gradients lie in `sums` together: those of all inputs and taps of one product.
NAM_INLINE size_t product_sums(int inputs, int outputs) { return static_cast<size_t>(3) * inputs * outputs * W; }

// Rows of gradients without edges: zero where the row of products goes on beyond the columns.
NAM_INLINE void make_gradients(const NormConv& call, const Tile& tile, const TileMemory& memory, const float* map,
                               int channel, ptrdiff_t pitch) {
    for (int r = 0; r < tile.groups * GROUP_ROWS; ++r) {
        float* to = memory.row(r);
        std::memset(to, 0, static_cast<size_t>(memory.row_stride()) * sizeof(float));
        const int row = tile.row + r;
        if (row < call.height)
            std::memcpy(to, map + static_cast<ptrdiff_t>(row) * call.width + tile.column,
                        static_cast<size_t>(tile.columns) * sizeof(float));
    }
    for (int group = 0; group < tile.groups; ++group) {
        float* out[PRODUCTS];
        for (int k = 0; k < PRODUCTS; ++k) out[k] = memory.result(k, channel) + group * tile.stride;
        combine_gradients(memory.row(group * GROUP_ROWS), memory.row_stride(), tile.stride, out);
    }
    for (int k = 0; k < PRODUCTS; ++k) clear_behind(memory.result(k, channel), tile.length, pitch);
}

}  // namespace

void norm_conv_backward(const NormConv& call, const NormConvGradients& gradients, const float* packed,
                        const MapTiles& tiles, int index, float* scratch, GradientSums* sums) {
    const Tile tile(call, tiles, index);
    const TileMemory memory(call.outputs, call.inputs, tiles, scratch);
    for (int o = 0; o < call.outputs; ++o)
        make_sources(call, tile, memory, gradients.z + plane(call, call.outputs, tile.item, o), o, tiles.pitch,
                     [](vf z) { return z; });
    multiply(tile, memory, call.outputs, call.inputs, packed);
    for (int i = 0; i < call.inputs; ++i) {
        const ptrdiff_t first = plane(call, call.inputs, tile.item, i) +
                                static_cast<ptrdiff_t>(tile.row) * call.width + tile.column;
        const ChannelNorm norm(call, tile.item, i);
        vf total = {}, along = {};
        const auto add = [&](vf dn, vf x) {
            total += dn;
            along += dn * ((x - norm.mean) * norm.deviation);
        };
        combine_outputs(
            call, tile, memory, i,
            [&](int row, ptrdiff_t t, vf da) {
                const ptrdiff_t at = first + static_cast<ptrdiff_t>(row) * call.width + t;
                const vf x = load(call.x + at), dn = da * Silu{}.slope(norm.of(x));
                store(gradients.x + at, dn);
                add(dn, x);
            },
            [&](int row, ptrdiff_t t, vf da, ptrdiff_t n) {
                const ptrdiff_t at = first + static_cast<ptrdiff_t>(row) * call.width + t;
                const vf x = load_first(call.x + at, n);
                store_first(gradients.x + at, da * Silu{}.slope(norm.of(x)), n);
                add(load_first(gradients.x + at, n), x);
            });
        sums[i] = {sum(total), sum(along)};
    }
}

void norm_back_plane(const float* x, float* dx, ptrdiff_t n, float along, float constant, float across) {
    map_row(n / W * W, dx, [&](ptrdiff_t t) { return along * load(dx + t) + constant + across * load(x + t); });
    for (ptrdiff_t t = n / W * W; t < n; ++t) dx[t] = along * dx[t] + constant + across * x[t];
}

size_t norm_conv_sums_size(int inputs, int outputs) { return PRODUCTS * product_sums(inputs, outputs); }

void norm_conv_weights(const NormConv& call, const NormConvGradients& gradients, const MapTiles& tiles, int index,
                       int first, int last, float* scratch, float* sums, float* bias) {
    const Tile tile(call, tiles, index);
    const int outputs = last - first;
    const TileMemory memory(call.inputs, outputs, tiles, scratch);
    make_activated_sources(call, tile, memory, tiles.pitch);
    for (int o = 0; o < outputs; ++o)
        make_gradients(call, tile, memory, gradients.z + plane(call, call.outputs, tile.item, first + o), o,
                       tiles.pitch);
    const ptrdiff_t n = (tile.length - 2 + W - 1) / W * W;  // whole vectors: the gradients end with zeros
    for (int k = 0; k < PRODUCTS; ++k) {
        memory.point(k);
        dot_rows(outputs, {memory.outs, 0}, {memory.taps, 0}, 3 * call.inputs, n, 0,
                 sums + k * product_sums(call.inputs, outputs));
    }
    for (int o = 0; o < outputs; ++o) {  // the second product's gradient is the sum of a group's rows
        const float* row = memory.result(1, o);
        vf total = {};
        for (ptrdiff_t t = 0; t < n; t += W) total += load(row + t);
        bias[first + o] = sum(total);
    }
}

void norm_conv_collect(const NormConv& call, const NormConvGradients& gradients, int first, int last, float* sums) {
    const int outputs = last - first, taps = 3 * call.inputs;
    for (int k = 0; k < PRODUCTS; ++k) {
        float* at = sums + k * product_sums(call.inputs, outputs);
        // As dot_rows lays them out: twelve sources at a time, and blocks of channels.
        for (int j = 0; j < taps; j += 12) {
            const int wide = taps - j < 12 ? taps - j : 12;
            for (int c = 0; c < outputs;) {
                const int block = next_block(outputs - c);
                const float* of = at + (static_cast<size_t>(c) * taps + static_cast<size_t>(j) * block) * W;
                for (int s = 0; s < wide; ++s)
                    for (int i = 0; i < block; ++i, of += W) {
                        const int input = (j + s) / 3, tap = (j + s) % 3;
                        float* w = gradients.weight +
                                   (static_cast<ptrdiff_t>(first + c + i) * call.inputs + input) * 9 + tap;
                        const float found = sum(load(of));
                        switch (k) {
                            case 0: w[0] += 0.25f * found; break;
                            case 1:
                            case 2: {
                                const float part = (-1.0f / 6.0f) * found;
                                w[0] += part;
                                w[3] += k == 1 ? part : -part;
                                w[6] += part;
                                break;
                            }
                            case 3:
                            case 4: {
                                const float part = (1.0f / 24.0f) * found;
                                w[0] += part;
                                w[3] += k == 3 ? 2.0f * part : -2.0f * part;
                                w[6] += 4.0f * part;
                                break;
                            }
                            default: w[6] += found;
                        }
                    }
                c += block;
            }
        }
    }
}

}  // namespace nam::NAM_ISA
