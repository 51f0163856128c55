// The forward pass of a WaveNet on one sample.
//
// Time is cut into tiles, and each tile passes through all layers before the next one begins. What a layer reads
// was written a moment ago by the layer before, so it comes from the first two levels of cache, although the rows
// of all layers together (the backward pass needs them) are far larger than any cache.
#include "activations.h"
#include "wavenet_rows.h"

namespace nam::NAM_ISA {
namespace {

struct Forward {
    const WaveNet& net;
    const float* weights;
    const float* packed;
    Table<float> rows;
    Table<float> z, a, gate;  // one tile of z, of a, and of the gate; index 0 is the tile's first sample
};

Rows at(const float* const* list, ptrdiff_t position) { return {list, position}; }
constexpr Rows NOTHING{nullptr, 0};

// a = activation(z) on a tile.
void activate(const Forward& f, const WaveNetArray& array, const WaveNetLayer& layer, ptrdiff_t t0, ptrdiff_t n) {
    const int bottleneck = array.bottleneck;
    for (int c = 0; c < bottleneck; ++c) {
        if (layer.moves && layer.residual && c < array.channels)
            fetch_rows_to_write(f.rows, layer.row_next + c, 1, t0, n);
        activate_row(layer.primary, slope_below(layer.primary, f.weights, c), f.z(c), f.a(c), n);
        if (layer.pair == Pair::none) continue;
        const float* z = f.z(c);
        float *a = f.a(c), *gate = f.gate(0);
        activate_row(layer.secondary, slope_below(layer.secondary, f.weights, c), f.z(bottleneck + c), gate, n);
        if (layer.pair == Pair::multiply)
            map_row(n, a, [&](ptrdiff_t t) { return load(a + t) * load(gate + t); });
        else
            map_row(n, a, [&](ptrdiff_t t) {
                const vf share = load(gate + t);
                return share * load(a + t) + (1.0f - share) * load(z + t);
            });
    }
}

// What most layers do with z, in one pass: a = activation(z) for the residual, kept (or z) for the backward pass, and
// added to the skip sum (which begins with it in the first layer).
template <bool KEEPS_Z>
void activate_keep_add(const Forward& f, const WaveNetArray& array, const WaveNetLayer& layer, bool begins,
                       ptrdiff_t t0, ptrdiff_t n) {
    for (int c = 0; c < array.bottleneck; ++c) {
        if (layer.moves && layer.residual && c < array.channels)
            fetch_rows_to_write(f.rows, layer.row_next + c, 1, t0, n);
        const float* z = f.z(c);
        float *a = f.a(c), *kept = f.rows(layer.row_kept + c) + t0, *sum = f.rows(array.row_sum + c) + t0;
        with_activation(layer.primary, slope_below(layer.primary, f.weights, c), [&](auto function) {
            for (ptrdiff_t t = 0; t < n; t += W) {
                const vf before = load(z + t), made = function.value(before);
                store(a + t, made);
                store_past_caches(kept + t, KEEPS_Z ? before : made);
                store(sum + t, begins ? made : load(sum + t) + made);
            }
        });
    }
}

// To the rows that the backward pass reads, past the caches.
void keep(const Table<float>& from, int count, const Table<float>& rows, int row, ptrdiff_t t, ptrdiff_t n) {
    const bool aligned = t % W == 0;
    for (int c = 0; c < count; ++c) {
        const float* source = from(c);
        float* to = rows(row + c) + t;
        ptrdiff_t i = 0;
        for (; aligned && i + W <= n; i += W) store_past_caches(to + i, load(source + i));
        map_row(n - i, to + i, [&](ptrdiff_t j) { return load(source + i + j); });
    }
}

// skip[t] (+)= a, or its 1×1, for the samples of the tile from which the skip sum is needed.
void add_skip(const Forward& f, const WaveNetArray& array, const WaveNetLayer& layer, bool begins, ptrdiff_t t0,
              ptrdiff_t t1) {
    const ptrdiff_t t = larger(t0, array.need), n = t1 - t;
    if (n <= 0) return;
    float* sum[MAX_CHANNELS];
    list_rows(f.rows, array.row_sum, array.skips, sum);
    if (array.skip_mix) {
        const float* a[MAX_CHANNELS];
        list_rows(f.a, 0, array.bottleneck, a);
        mix_rows(array.skips, f.packed + layer.p_skip, at(a, t - t0), array.bottleneck,
                 f.weights + layer.w_skip_bias, begins ? NOTHING : at(sum, t), {sum, t}, n);
        return;
    }
    for (int c = 0; c < array.skips; ++c) {
        const float* a = f.a(c) + (t - t0);
        float* to = sum[c] + t;
        if (begins) map_row(n, to, [&](ptrdiff_t i) { return load(a + i); });
        else map_row(n, to, [&](ptrdiff_t i) { return load(to + i) + load(a + i); });
    }
}

void layer_tile(const Forward& f, const WaveNetArray& array, const WaveNetLayer& layer, bool begins,
                ptrdiff_t t0, ptrdiff_t t1) {
    t0 = larger(t0, layer.end);
    const ptrdiff_t n = t1 - t0;
    if (n <= 0) return;
    const int sources = array.channels * layer.kernel + f.net.conditions;
    const float* source[MAX_SOURCES];
    float* z[2 * MAX_CHANNELS];
    const float** rest =
        list_taps(f.rows, layer.row_x, array.channels, layer.kernel, layer.dilation, source);
    list_rows(f.rows, f.net.row_condition, f.net.conditions, rest);
    list_rows(f.z, 0, layer.mid, z);
    mix_rows(layer.mid, f.packed + layer.p_conv, at(source, t0), sources, f.weights + layer.w_bias, NOTHING,
             {z, 0}, n);
    // Whole vectors at whole vectors' addresses, as all tiles but the first and the last are.
    const bool plain = layer.pair == Pair::none && !array.skip_mix;
    if (plain && t0 >= array.need && t0 % W == 0 && n % W == 0) {
        if (layer.keeps_z) activate_keep_add<true>(f, array, layer, begins, t0, n);
        else activate_keep_add<false>(f, array, layer, begins, t0, n);
    } else {
        activate(f, array, layer, t0, n);
        if (layer.keeps_z) keep(f.z, layer.mid, f.rows, layer.row_kept, t0, n);
        else keep(f.a, array.bottleneck, f.rows, layer.row_kept, t0, n);
        add_skip(f, array, layer, begins, t0, t1);
    }
    if (layer.moves && layer.residual) {
        const float *x[MAX_CHANNELS], *a[MAX_CHANNELS];
        float* next[MAX_CHANNELS];
        list_rows(f.rows, layer.row_x, array.channels, x);
        list_rows(f.rows, layer.row_next, array.channels, next);
        list_rows(f.a, 0, array.bottleneck, a);
        mix_rows(array.channels, f.packed + layer.p_residual, at(a, 0), array.bottleneck,
                 f.weights + layer.w_residual_bias, at(x, t0), {next, t0}, n);
    }
}

void front_tile(const Forward& f, const WaveNetArray& array, ptrdiff_t t0, ptrdiff_t t1) {
    const ptrdiff_t start = larger(t0, array.layer[0].start);
    if (start >= t1) return;
    const float* source[MAX_CHANNELS];
    float* to[MAX_CHANNELS];
    list_rows(f.rows, array.row_input, array.inputs, source);
    list_rows(f.rows, array.layer[0].row_x, array.channels, to);
    mix_rows(array.channels, f.packed + array.p_rechannel, at(source, start), array.inputs, nullptr, NOTHING,
             {to, start}, t1 - start);
}

void head_tile(const Forward& f, const WaveNetArray& array, ptrdiff_t t0, ptrdiff_t t1) {
    const ptrdiff_t start = larger(t0, array.need + array.head_kernel - 1);
    if (start >= t1) return;
    const float* source[MAX_SOURCES];
    float* to[MAX_CHANNELS];
    list_taps(f.rows, array.row_sum, array.skips, array.head_kernel, 1, source);
    list_rows(f.rows, array.row_head, array.heads, to);
    mix_rows(array.heads, f.packed + array.p_head, at(source, start), array.skips * array.head_kernel,
             array.head_bias ? f.weights + array.w_head_bias : nullptr, NOTHING, {to, start}, t1 - start);
}

void part_tile(const Forward& f, const WaveNetPart& part, ptrdiff_t t0, ptrdiff_t t1) {
    const WaveNetArray& array = f.net.array[part.array];
    switch (part.step) {
        case Step::front: return front_tile(f, array, t0, t1);
        case Step::layer: return layer_tile(f, array, array.layer[part.layer], !part.array && !part.layer, t0, t1);
        case Step::head: return head_tile(f, array, t0, t1);
    }
}

void copy_in(const Forward& f, const ForwardItem& item, int row, int count, const float* from) {
    for (int c = 0; c < count; ++c)
        std::memcpy(f.rows(row + c), from + c * item.input_stride, static_cast<size_t>(item.length) * sizeof(float));
}

void copy_out(const Forward& f, const ForwardItem& item) {
    const WaveNetArray& last = f.net.array[f.net.arrays - 1];
    for (int c = 0; c < last.heads; ++c) {
        const float* head = f.rows(last.row_head + c) + f.net.first;
        map_row(item.length - f.net.first, item.output + c * item.output_stride,
                [&](ptrdiff_t t) { return f.net.head_scale * load(head + t); });
    }
}

}  // namespace

void wavenet_forward(const WaveNet& net, const float* weights, const float* packed, const ForwardItem& item,
                     PartSpan parts, ptrdiff_t from, ptrdiff_t to) {
    const ptrdiff_t width = net.largest_width;
    const Forward f{net,
                    weights,
                    packed,
                    {item.rows, row_stride(item.length, 0)},
                    {item.scratch, TILE_STRIDE},
                    {item.scratch + width * TILE_STRIDE, TILE_STRIDE},
                    {item.scratch + 2 * width * TILE_STRIDE, TILE_STRIDE}};
    if (parts.first == 0 && from == 0) {
        copy_in(f, item, net.row_input, net.inputs, item.input);
        if (!net.own_condition) copy_in(f, item, net.row_condition, net.conditions, item.condition);
    }
    for (ptrdiff_t t = from; t < to; t += TILE)
        for (int i = parts.first; i < parts.last; ++i) part_tile(f, net.part[i], t, smaller(t + TILE, to));
    if (parts.last == net.parts && to == item.length) copy_out(f, item);
    stores_done();
}

}  // namespace nam::NAM_ISA
