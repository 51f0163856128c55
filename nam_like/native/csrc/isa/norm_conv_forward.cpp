// The forward pass of norm, SiLU and convolution, tile by tile, and the packing of weights for both directions.
#include "moments.h"
#include "norm_conv_rows.h"

namespace nam::NAM_ISA {
namespace {

// The six combinations of three weights along the height, each to its product's part of the packed weights.
NAM_INLINE void combine_weights(float w0, float w1, float w2, float* to, size_t each) {
    const float even = (-1.0f / 6.0f) * (w0 + w2), odd = (-1.0f / 6.0f) * w1;
    const float even2 = (1.0f / 24.0f) * (w0 + 4.0f * w2), odd2 = (1.0f / 12.0f) * w1;
    to[0] = 0.25f * w0;
    to[each] = even + odd;
    to[2 * each] = even - odd;
    to[3 * each] = even2 + odd2;
    to[4 * each] = even2 - odd2;
    to[5 * each] = w2;
}

}  // namespace

size_t norm_conv_packed_size(const NormConv& call) {
    return PRODUCTS * packed_size(call.outputs, 3 * call.inputs);
}

// Backward, inputs and outputs change places, and the taps run the other way in both directions.
void norm_conv_pack(const NormConv& call, bool backward, int part, int parts, float* packed) {
    const int channels = backward ? call.inputs : call.outputs, others = backward ? call.outputs : call.inputs;
    const ptrdiff_t of_input = 9, of_output = of_input * call.inputs;
    const ptrdiff_t of_channel = backward ? of_input : of_output, of_other = backward ? of_output : of_input;
    const size_t each = packed_size(channels, 3 * others);
    for (int c = 0, index = 0, block; c < channels; c += block, ++index) {  // in the order of pack_weights
        block = next_block(channels - c);
        if (index % parts != part) continue;
        float* to = packed + packed_size(c, 3 * others);
        for (int j = 0; j < others; ++j)
            for (int tap = 0; tap < 3; ++tap)
                for (int i = 0; i < block; ++i, ++to) {
                    const float* w = call.weight + (c + i) * of_channel + j * of_other + (backward ? 2 - tap : tap);
                    combine_weights(w[backward ? 6 : 0], w[3], w[backward ? 0 : 6], to, each);
                }
    }
}

Moments map_moments(const float* plane, ptrdiff_t n) {
    constexpr ptrdiff_t EACH = 512;  // four rows at once, in the first level of cache
    Moments found[4] = {}, total = {};
    ptrdiff_t at = 0, before = 0;
    for (; at + 4 * EACH <= n; at += 4 * EACH, before += EACH) {
        const float* rows[4] = {plane + at, plane + at + EACH, plane + at + 2 * EACH, plane + at + 3 * EACH};
        add_moments(4, rows, 0, before, EACH, found);
    }
    double counted = 0.0;
    const auto add = [&](const Moments& part, double count) {
        if (count == 0.0) return;
        const double step = part.mean - total.mean, all = counted + count;
        total.mean += step * count / all;
        total.squares += part.squares + step * step * count * counted / all;
        counted = all;
    };
    for (const Moments& part : found) add(part, static_cast<double>(before));
    if (at < n) {
        Moments rest = {};
        add_moments(1, &plane, at, 0, n - at, &rest);
        add(rest, static_cast<double>(n - at));
    }
    return total;
}

size_t norm_conv_scratch(int inputs, int outputs, const MapTiles& tiles) {
    return TileMemory::size(inputs, outputs, tiles);
}

void norm_conv_forward(const NormConv& call, const float* packed, const MapTiles& tiles, int index, float* scratch) {
    const Tile tile(call, tiles, index);
    const TileMemory memory(call.inputs, call.outputs, tiles, scratch);
    make_activated_sources(call, tile, memory, tiles.pitch);
    multiply(tile, memory, call.inputs, call.outputs, packed);
    const int64_t valid = call.valid ? call.valid[tile.item] - tile.column : tile.columns;
    vi lane;
    for (int i = 0; i < W; ++i) lane[i] = i;
    for (int o = 0; o < call.outputs; ++o) {
        const ptrdiff_t first = plane(call, call.outputs, tile.item, o) +
                                static_cast<ptrdiff_t>(tile.row) * call.width + tile.column;
        const float bias = call.bias[static_cast<ptrdiff_t>(tile.item) * call.outputs + o];
        const auto finished = [&](ptrdiff_t t, vf v, vf skip) {
            v = (v + bias + skip) * call.scale;
            if (t + W <= valid) return v;
            const int left = valid > t ? static_cast<int>(valid - t) : 0;
            return select(lane < left, v, vf{});
        };
        combine_outputs(
            call, tile, memory, o,
            [&](int row, ptrdiff_t t, vf v) {
                const ptrdiff_t at = first + static_cast<ptrdiff_t>(row) * call.width + t;
                store(call.y + at, finished(t, v, call.skip ? load(call.skip + at) : vf{}));
            },
            [&](int row, ptrdiff_t t, vf v, ptrdiff_t n) {
                const ptrdiff_t at = first + static_cast<ptrdiff_t>(row) * call.width + t;
                store_first(call.y + at, finished(t, v, call.skip ? load_first(call.skip + at, n) : vf{}), n);
            });
    }
}

}  // namespace nam::NAM_ISA
