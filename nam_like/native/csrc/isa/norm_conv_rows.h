// A tile of a map while it is convolved: its rows, and the combinations of rows that are multiplied.
#pragma once
#include "../norm_conv.h"
#include "activations.h"
#include "mix_rows.h"

namespace nam::NAM_ISA {

// Where a tile lies.
struct Tile {
    int item, row, groups, column, columns;
    ptrdiff_t stride;  // from group to group in a row of products: the columns, and one more on each side
    ptrdiff_t length;  // of all groups

    NAM_INLINE Tile(const NormConv& call, const MapTiles& tiles, int index) {
        const int each = tiles.down * tiles.across, within = index % each;
        const int all = (call.height + GROUP_ROWS - 1) / GROUP_ROWS, begin = within / tiles.across * tiles.groups;
        item = index / each;
        row = begin * GROUP_ROWS;
        groups = all - begin < tiles.groups ? all - begin : tiles.groups;
        column = within % tiles.across * tiles.columns;
        columns = call.width - column < tiles.columns ? call.width - column : tiles.columns;
        stride = columns + 2;
        length = groups * stride;
    }
};

// How a channel of an item is normalised: n = (x − mean) · scale + β, where scale = γ / deviation.
struct ChannelNorm {
    float mean, deviation, scale, shift;  // `deviation` is one over it

    NAM_INLINE ChannelNorm(const NormConv& call, int item, int channel) {
        const int group = channel / (call.inputs / call.groups);
        const float* statistics = call.statistics + 2 * (static_cast<ptrdiff_t>(item) * call.groups + group);
        mean = statistics[0];
        deviation = statistics[1];
        scale = call.gamma[channel] * deviation;
        shift = call.beta[channel];
    }
    NAM_INLINE vf of(vf x) const { return (x - mean) * scale + shift; }
};

NAM_INLINE ptrdiff_t plane(const NormConv& call, int channels, int item, int channel) {
    return (static_cast<ptrdiff_t>(item) * channels + channel) * call.height * call.width;
}

// A row of a tile with what lies left and right of it; zero outside the map.
template <class Map>
NAM_INLINE void edged_row(const NormConv& call, const Tile& tile, const float* map, int row, float* to, Map value) {
    if (row < 0 || row >= call.height) {
        std::memset(to, 0, static_cast<size_t>(tile.stride) * sizeof(float));
        return;
    }
    const int left = tile.column > 0 ? 0 : 1, right = tile.column + tile.columns < call.width ? 0 : 1;
    const float* from = map + static_cast<ptrdiff_t>(row) * call.width + tile.column - 1;
    const ptrdiff_t end = tile.stride - right;
    to[0] = 0.0f;
    ptrdiff_t t = left;
    for (; t + W <= end; t += W) store(to + t, value(load(from + t)));
    if (t < end) store_first(to + t, value(load_first(from + t, end - t)), end - t);
    if (right) to[end] = 0.0f;
}

// The six combinations of six rows that are multiplied with the combinations of the weights.
NAM_INLINE void combine_inputs(const float* rows, ptrdiff_t row_stride, ptrdiff_t n, float* const (&out)[PRODUCTS]) {
    for (ptrdiff_t t = 0; t < n; t += W) {
        vf d[PRODUCTS];
        NAM_UNROLL for (int r = 0; r < PRODUCTS; ++r) d[r] = load(rows + r * row_stride + t);
        const vf p = d[4] - 4.0f * d[2], q = d[3] - 4.0f * d[1], u = d[4] - d[2], v = 2.0f * (d[3] - d[1]);
        store(out[0] + t, 4.0f * d[0] - 5.0f * d[2] + d[4]);
        store(out[1] + t, p + q);
        store(out[2] + t, p - q);
        store(out[3] + t, u + v);
        store(out[4] + t, u - v);
        store(out[5] + t, 4.0f * d[1] - 5.0f * d[3] + d[5]);
    }
}

// The transpose of what makes four rows of six products: gradients of the products from those of the rows.
NAM_INLINE void combine_gradients(const float* rows, ptrdiff_t row_stride, ptrdiff_t n, float* const (&out)[PRODUCTS]) {
    for (ptrdiff_t t = 0; t < n; t += W) {
        vf e[GROUP_ROWS];
        NAM_UNROLL for (int r = 0; r < GROUP_ROWS; ++r) e[r] = load(rows + r * row_stride + t);
        const vf even = e[0] + e[2], odd = e[1] + e[3];
        const vf even2 = e[0] + 4.0f * e[2], odd2 = 2.0f * e[1] + 8.0f * e[3];
        store(out[0] + t, e[0]);
        store(out[1] + t, even + odd);
        store(out[2] + t, even - odd);
        store(out[3] + t, even2 + odd2);
        store(out[4] + t, even2 - odd2);
        store(out[5] + t, e[3]);
    }
}

// Memory of a tile: rows of one channel, and the products' rows of all inputs and all outputs.
class TileMemory {
public:
    NAM_INLINE TileMemory(int inputs, int outputs, const MapTiles& tiles, float* scratch)
        : pitch_(tiles.pitch), inputs_(inputs), outputs_(outputs), row_pitch_(row_pitch(tiles)) {
        rows = scratch;
        sources_ = rows + row_count(tiles) * row_pitch_;
        results_ = sources_ + static_cast<ptrdiff_t>(PRODUCTS) * inputs * pitch_;
        void* pointers = results_ + static_cast<ptrdiff_t>(PRODUCTS) * outputs * pitch_;
        outs = static_cast<float**>(pointers);
        pointers = outs + outputs;
        taps = static_cast<const float**>(pointers);
    }
    static NAM_INLINE size_t size(int inputs, int outputs, const MapTiles& tiles) {
        const size_t pointers = (3 * inputs + outputs) * sizeof(float*) / sizeof(float);
        return static_cast<size_t>(row_count(tiles) * row_pitch(tiles)) +
               static_cast<size_t>(PRODUCTS) * (inputs + outputs) * tiles.pitch + pointers;
    }

    NAM_INLINE float* source(int product, int channel) const {
        return sources_ + (static_cast<ptrdiff_t>(product) * inputs_ + channel) * pitch_;
    }
    NAM_INLINE float* result(int product, int channel) const {
        return results_ + (static_cast<ptrdiff_t>(product) * outputs_ + channel) * pitch_;
    }
    NAM_INLINE float* row(int index) const { return rows + index * row_pitch_; }
    NAM_INLINE ptrdiff_t row_stride() const { return row_pitch_; }

    // Points `taps` at the three shifted rows of each input, and `outs` at the outputs' rows, of one product.
    NAM_INLINE void point(int product) const {
        for (int i = 0; i < inputs_; ++i)
            for (int tap = 0; tap < 3; ++tap) taps[3 * i + tap] = source(product, i) + tap;
        for (int o = 0; o < outputs_; ++o) outs[o] = result(product, o);
    }

    float* rows;
    const float** taps;
    float** outs;

private:
    static NAM_INLINE ptrdiff_t row_count(const MapTiles& tiles) { return tiles.groups * GROUP_ROWS + 2; }
    static NAM_INLINE ptrdiff_t row_pitch(const MapTiles& tiles) { return (tiles.columns + 2 + 31) / 16 * 16; }

    ptrdiff_t pitch_;
    int inputs_, outputs_;
    ptrdiff_t row_pitch_;
    float *sources_, *results_;
};

// The last vectors of a row, and of shifted rows, are read as a whole.
NAM_INLINE void clear_behind(float* row, ptrdiff_t length, ptrdiff_t pitch) {
    std::memset(row + length, 0, static_cast<size_t>(pitch - length) * sizeof(float));
}

// Makes the products' sources of one channel; `value` is what the convolution sees of `map`.
template <class Map>
NAM_INLINE void make_sources(const NormConv& call, const Tile& tile, const TileMemory& memory, const float* map,
                             int channel, ptrdiff_t pitch, Map value) {
    for (int r = 0; r < tile.groups * GROUP_ROWS + 2; ++r)
        edged_row(call, tile, map, tile.row - 1 + r, memory.row(r), value);
    for (int group = 0; group < tile.groups; ++group) {
        float* out[PRODUCTS];  // whole vectors are written: what is too much, the next group writes over
        for (int k = 0; k < PRODUCTS; ++k) out[k] = memory.source(k, channel) + group * tile.stride;
        combine_inputs(memory.row(group * GROUP_ROWS), memory.row_stride(), tile.stride, out);
    }
    for (int k = 0; k < PRODUCTS; ++k) clear_behind(memory.source(k, channel), tile.length, pitch);
}

NAM_INLINE void make_activated_sources(const NormConv& call, const Tile& tile, const TileMemory& memory,
                                       ptrdiff_t pitch) {
    for (int i = 0; i < call.inputs; ++i) {
        const ChannelNorm norm(call, tile.item, i);
        make_sources(call, tile, memory, call.x + plane(call, call.inputs, tile.item, i), i, pitch,
                     [&](vf x) { return Silu{}.value(norm.of(x)); });
    }
}

// All products of a tile, from `inputs` sources to `outputs` results.
inline void multiply(const Tile& tile, const TileMemory& memory, int inputs, int outputs, const float* packed) {
    const size_t each = packed_size(outputs, 3 * inputs);
    for (int k = 0; k < PRODUCTS; ++k) {
        memory.point(k);
        mix_rows(outputs, packed + k * each, {memory.taps, 0}, 3 * inputs, nullptr, {nullptr, 0}, {memory.outs, 0},
                 tile.length - 2);
    }
}

// Calls each(row, t, value) for the vectors of a channel's output rows, and last(row, t, value, n) for the rest of
// each; rows and columns count from the tile's first.
template <class Each, class Last>
NAM_INLINE void combine_outputs(const NormConv& call, const Tile& tile, const TileMemory& memory, int channel,
                                Each each, Last last) {
    for (int group = 0; group < tile.groups; ++group) {
        const int row = group * GROUP_ROWS, left = call.height - tile.row - row;
        const int rows = left < GROUP_ROWS ? left : GROUP_ROWS;
        const float* m[PRODUCTS];
        for (int k = 0; k < PRODUCTS; ++k) m[k] = memory.result(k, channel) + group * tile.stride;
        for (ptrdiff_t t = 0; t < tile.columns; t += W) {
            const vf m1 = load(m[1] + t), m2 = load(m[2] + t), m3 = load(m[3] + t), m4 = load(m[4] + t);
            const vf s = m1 + m2, d = m1 - m2, s2 = m3 + m4, d2 = m3 - m4;
            const vf y[GROUP_ROWS] = {load(m[0] + t) + s + s2, d + 2.0f * d2, s + 4.0f * s2,
                                      d + 8.0f * d2 + load(m[5] + t)};
            const ptrdiff_t n = tile.columns - t;
            NAM_UNROLL for (int r = 0; r < GROUP_ROWS; ++r) {
                if (r >= rows) break;
                if (n >= W) each(row + r, t, y[r]);
                else last(row + r, t, y[r], n);
            }
        }
    }
}

}  // namespace nam::NAM_ISA
