// The gradient of a WaveNet on one sample.
//
// Parts are gone through from the last to the first, each from its last tile of time to its first: the gradient
// of x at a sample needs that of z up to (K − 1)·dilation samples later, which the tiles before have left in the
// rows `dz`. One tile does everything while it is in the cache: the gradient of a, of z, of the weights, of x.
//
// `dx` holds the gradient of the residual, which each layer changes in place, and `dskip` that of the skip sum,
// which is the same for all layers of an array.
#include "activations.h"
#include "dot_rows.h"
#include "wavenet_rows.h"

namespace nam::NAM_ISA {
namespace {

struct Backward {
    const WaveNet& net;
    const float* weights;
    const float* packed;
    Table<const float> rows;          // what the forward pass has kept
    Table<float> dx;
    Table<float> dz, dskip, dhead;    // of the part at work
    Table<float> dcondition, dinput;  // null tables where nobody asks
    Table<float> a, da, gate;         // one tile each
    float* sums;                      // running sums of dot_rows, of the part at work
    float* gradients;                 // of the weights
    ptrdiff_t length;
};

Rows at(const float* const* list, ptrdiff_t position) { return {list, position}; }
constexpr Rows NOTHING{nullptr, 0};

// dz = da · activation'(…) on samples [t, t + n) of one tile, and its sums over time; makes a in b.a where z was kept.
void activation_back(const Backward& b, const WaveNetArray& array, const WaveNetLayer& layer, ptrdiff_t t,
                     ptrdiff_t n, float* sums) {
    const int width = array.bottleneck;
    for (int c = 0; c < width; ++c) {
        const float* kept = b.rows(layer.row_kept + c) + t;
        const float below = slope_below(layer.primary, b.weights, c);
        float *da = b.da(c), *dz = b.dz(c) + t;
        if (layer.pair == Pair::none) {
            if (layer.keeps_z) activate_row(layer.primary, below, kept, b.a(c), n);
            if (layer.primary.slopes)
                b.gradients[layer.primary.slope_offset + (layer.primary.slopes == 1 ? 0 : c)] +=
                    prelu_slope_gradient(kept, da, n);
            slope_row_and_sum(layer.primary, below, kept, da, dz, n, sums + c * W);
            continue;
        }
        const float* z2 = b.rows(layer.row_kept + width + c) + t;
        const float below2 = slope_below(layer.secondary, b.weights, c);
        float *value = b.gate(0), *gate = b.gate(1), *dvalue = b.gate(2), *dgate = b.gate(3);
        float *a = b.a(c), *dz2 = b.dz(width + c) + t;
        const bool blend = layer.pair == Pair::blend;
        activate_row(layer.primary, below, kept, value, n);
        activate_row(layer.secondary, below2, z2, gate, n);
        map_row(n, a, [&](ptrdiff_t i) {
            const vf s = load(gate + i);
            return blend ? s * load(value + i) + (1.0f - s) * load(kept + i) : s * load(value + i);
        });
        map_row(n, dvalue, [&](ptrdiff_t i) { return load(da + i) * load(gate + i); });
        map_row(n, dgate, [&](ptrdiff_t i) {
            return load(da + i) * (blend ? load(value + i) - load(kept + i) : load(value + i));
        });
        if (layer.primary.slopes)
            b.gradients[layer.primary.slope_offset + (layer.primary.slopes == 1 ? 0 : c)] +=
                prelu_slope_gradient(kept, dvalue, n);
        if (layer.secondary.slopes)
            b.gradients[layer.secondary.slope_offset + (layer.secondary.slopes == 1 ? 0 : c)] +=
                prelu_slope_gradient(z2, dgate, n);
        const float* kept1 = slope_from_output(layer.primary) ? value : kept;
        const float* kept2 = slope_from_output(layer.secondary) ? gate : z2;
        slope_row(layer.primary, below, kept1, dvalue, dz, n);
        slope_row(layer.secondary, below2, kept2, dgate, dz2, n);
        if (blend)
            map_row(n, dz, [&](ptrdiff_t i) { return load(dz + i) + load(da + i) * (1.0f - load(gate + i)); });
        const float* made[] = {dz, dz2};
        sum_rows(1, {made, 0}, n, sums + c * W);
        sum_rows(1, {made + 1, 0}, n, sums + (width + c) * W);
    }
}

// What one layer's tiles share: lists of rows, and where its sums lie.
struct LayerLists {
    const float* conv[MAX_SOURCES];   // sources of z
    const float* dz[2 * MAX_CHANNELS];
    const float* future[MAX_SOURCES];
    const float *dx[MAX_CHANNELS], *dskip[MAX_CHANNELS], *a[MAX_CHANNELS], *condition[MAX_CHANNELS], *da[MAX_CHANNELS];
    float *dx_out[MAX_CHANNELS], *da_out[MAX_CHANNELS];
    int taps;
    float *conv_sums, *mixer_sums, *bias_sums, *residual_sums, *residual_bias_sums, *skip_sums, *skip_bias_sums;
    float* sums_end;
};

void make_lists(const Backward& b, const WaveNetArray& array, const WaveNetLayer& layer, LayerLists& lists) {
    list_taps(b.rows, layer.row_x, array.channels, layer.kernel, layer.dilation, lists.conv);
    list_rows(b.rows, b.net.row_condition, b.net.conditions, lists.condition);
    lists.taps = array.channels * layer.kernel;
    list_rows(b.dz, 0, layer.mid, lists.dz);
    list_future_taps(b.dz, 0, layer.mid, layer.kernel, layer.dilation, lists.future);
    list_rows(b.dx, 0, array.channels, lists.dx);
    list_rows(b.dx, 0, array.channels, lists.dx_out);
    list_rows(b.dskip, 0, array.skips, lists.dskip);
    if (layer.keeps_z) list_rows(b.a, 0, array.bottleneck, lists.a);
    else list_rows(b.rows, layer.row_kept, array.bottleneck, lists.a);
    list_rows(b.da, 0, array.bottleneck, lists.da);
    list_rows(b.da, 0, array.bottleneck, lists.da_out);
    float* next = b.sums;
    const auto take = [&next](ptrdiff_t count) { return (next += count * W) - count * W; };
    lists.conv_sums = take(ptrdiff_t{layer.mid} * lists.taps);
    lists.mixer_sums = take(ptrdiff_t{layer.mid} * b.net.conditions);
    lists.bias_sums = take(layer.mid);
    lists.residual_sums = take(ptrdiff_t{array.channels} * array.bottleneck);
    lists.residual_bias_sums = take(array.channels);
    lists.skip_sums = take(ptrdiff_t{array.skips} * array.bottleneck);
    lists.skip_bias_sums = take(array.skips);
    lists.sums_end = next;
}

// da on a tile: from the residual through its 1×1, and from the skip sum.
void gradient_of_a(const Backward& b, const WaveNetArray& array, const WaveNetLayer& layer,
                   const LayerLists& lists, bool skips, ptrdiff_t t, ptrdiff_t n) {
    const bool moves = layer.moves && layer.residual;
    const bool direct = skips && !array.skip_mix;
    // Without sources mix_rows copies its base, or makes zeros.
    mix_rows(array.bottleneck, b.packed + layer.p_residual_back, at(lists.dx, t), moves ? array.channels : 0,
             nullptr, direct ? at(lists.dskip, t) : NOTHING, {lists.da_out, 0}, n);
    if (skips && array.skip_mix)
        mix_rows(array.bottleneck, b.packed + layer.p_skip_back, at(lists.dskip, t), array.skips, nullptr,
                 at(lists.da, 0), {lists.da_out, 0}, n);
}

void layer_tile_back(const Backward& b, const WaveNetArray& array, const WaveNetLayer& layer,
                     const LayerLists& lists, ptrdiff_t t, ptrdiff_t n) {
    const bool skips = t >= array.need;  // tiles do not straddle it
    gradient_of_a(b, array, layer, lists, skips, t, n);
    activation_back(b, array, layer, t, n, lists.bias_sums);
    const Rows a = at(lists.a, layer.keeps_z ? 0 : t), dz = at(lists.dz, t), dx = at(lists.dx, t);
    dot_rows(layer.mid, dz, at(lists.conv, t), lists.taps, n, -TILE, lists.conv_sums);
    // The other way round, because conditions are few: most often one, against all channels at once.
    dot_rows(b.net.conditions, at(lists.condition, t), dz, layer.mid, n, 0, lists.mixer_sums);
    if (layer.moves && layer.residual) {
        dot_rows(array.channels, dx, a, array.bottleneck, n, layer.keeps_z ? 0 : -TILE, lists.residual_sums);
        sum_rows(array.channels, dx, n, lists.residual_bias_sums);
    }
    if (skips && array.skip_mix) {
        dot_rows(array.skips, at(lists.dskip, t), a, array.bottleneck, n, 0, lists.skip_sums);
        sum_rows(array.skips, at(lists.dskip, t), n, lists.skip_bias_sums);
    }
    mix_rows(array.channels, b.packed + layer.p_conv_back, at(lists.future, t), layer.mid * layer.kernel, nullptr,
             layer.moves ? at(lists.dx, t) : NOTHING, {lists.dx_out, t}, n);
    if (b.dcondition.first) {
        float* to[MAX_CHANNELS];
        list_rows(b.dcondition, 0, b.net.conditions, to);
        mix_rows(b.net.conditions, b.packed + layer.p_mixer_back, at(lists.dz, t), layer.mid, nullptr, at(to, t),
                 {to, t}, n);
    }
}

void zero_span(const Table<float>& table, int count, ptrdiff_t from, ptrdiff_t to) {
    for (int c = 0; c < count; ++c)
        if (to > from) std::memset(table(c) + from, 0, static_cast<size_t>(to - from) * sizeof(float));
}

void collect(const Backward& b, const WaveNetArray& array, const WaveNetLayer& layer, const LayerLists& lists) {
    const int conditions = b.net.conditions, width = array.bottleneck;
    float* g = b.gradients;
    sum_dots(layer.mid, lists.taps, lists.conv_sums, g + layer.w_conv, lists.taps, 1);
    sum_dots(conditions, layer.mid, lists.mixer_sums, g + layer.w_mixer, 1, conditions);
    sum_lanes(layer.mid, lists.bias_sums, g + layer.w_bias);
    if (layer.moves && layer.residual) {
        sum_dots(array.channels, width, lists.residual_sums, g + layer.w_residual, width, 1);
        sum_lanes(array.channels, lists.residual_bias_sums, g + layer.w_residual_bias);
    }
    if (array.skip_mix) {
        sum_dots(array.skips, width, lists.skip_sums, g + layer.w_skip, width, 1);
        sum_lanes(array.skips, lists.skip_bias_sums, g + layer.w_skip_bias);
    }
}

// Calls part(start, stop) for the tiles of [from, to), the last one first. `border` is between tiles, too.
template <class Part>
NAM_INLINE void tiles_back(ptrdiff_t from, ptrdiff_t to, ptrdiff_t border, Part part) {
    for (ptrdiff_t stop = to; stop > from;) {
        const ptrdiff_t floor = stop > border ? larger(border, from) : from;
        const ptrdiff_t start = larger(floor, (stop - 1) / TILE * TILE);
        part(start, stop);
        stop = start;
    }
}

void layer_back(const Backward& b, const WaveNetArray& array, const WaveNetLayer& layer, ptrdiff_t from,
                ptrdiff_t to) {
    LayerLists lists;
    make_lists(b, array, layer, lists);
    if (to == b.length) {
        std::memset(b.sums, 0, static_cast<size_t>(lists.sums_end - b.sums) * sizeof(float));
        // Taps that reach beyond the last sample, or that look at samples without a z, must find zeros.
        zero_span(b.dz, layer.mid, layer.start, layer.end);
        zero_span(b.dz, layer.mid, b.length, b.length + (layer.end - layer.start));
    }
    tiles_back(larger(from, layer.end), to, array.need, [&](ptrdiff_t start, ptrdiff_t stop) {
        if (start > larger(layer.end, from)) {
            const ptrdiff_t before = larger(start - TILE, layer.end), n = start - before;
            fetch_rows({b.dx.first, b.dx.stride}, 0, array.channels, before, n);
            if (before >= array.need) fetch_rows({b.dskip.first, b.dskip.stride}, 0, array.skips, before, n);
        }
        layer_tile_back(b, array, layer, lists, start, stop - start);
    });
    // Samples that only the taps of later ones read.
    const ptrdiff_t start = larger(from, layer.start), n = smaller(to, layer.end) - start;
    if (n > 0)
        mix_rows(array.channels, b.packed + layer.p_conv_back, at(lists.future, start), layer.mid * layer.kernel,
                 nullptr, NOTHING, {lists.dx_out, start}, n);
    if (from == 0) collect(b, array, layer, lists);
}

// From the gradient of the array's head output to that of its skip sum, and of the head's weights.
void head_back(const Backward& b, const WaveNetArray& array, ptrdiff_t from, ptrdiff_t to) {
    const int taps = array.skips * array.head_kernel, kernel = array.head_kernel;
    const ptrdiff_t first = array.need + kernel - 1;
    const float *sources[MAX_SOURCES], *gradient[MAX_CHANNELS], *future[MAX_SOURCES];
    float* out[MAX_CHANNELS];
    list_taps(b.rows, array.row_sum, array.skips, kernel, 1, sources);
    list_rows(b.dhead, 0, array.heads, gradient);
    list_future_taps(b.dhead, 0, array.heads, kernel, 1, future);
    list_rows(b.dskip, 0, array.skips, out);
    float* bias_sums = b.sums + ptrdiff_t{array.heads} * taps * W;
    if (to == b.length) {
        std::memset(b.sums, 0, static_cast<size_t>(array.heads) * (taps + 1) * W * sizeof(float));
        zero_span(b.dhead, array.heads, array.need, first);
        zero_span(b.dhead, array.heads, b.length, b.length + kernel - 1);
    }
    tiles_back(larger(from, first), to, first, [&](ptrdiff_t start, ptrdiff_t stop) {
        dot_rows(array.heads, at(gradient, start), at(sources, start), taps, stop - start, 0, b.sums);
        sum_rows(array.heads, at(gradient, start), stop - start, bias_sums);
    });
    tiles_back(larger(from, array.need), to, array.need, [&](ptrdiff_t start, ptrdiff_t stop) {
        mix_rows(array.skips, b.packed + array.p_head_back, at(future, start), array.heads * kernel, nullptr,
                 NOTHING, {out, start}, stop - start);
    });
    if (from > 0) return;
    sum_dots(array.heads, taps, b.sums, b.gradients + array.w_head, taps, 1);
    if (array.head_bias) sum_lanes(array.heads, bias_sums, b.gradients + array.w_head_bias);
}

// Through the 1×1 in front: the gradient of its weights, and of what it reads (into dx, or into dinput).
void front_back(const Backward& b, const WaveNetArray& array, bool first, ptrdiff_t from, ptrdiff_t to) {
    const float *sources[MAX_CHANNELS], *gradient[MAX_CHANNELS];
    float* made[MAX_CHANNELS];
    list_rows(b.rows, array.row_input, array.inputs, sources);
    list_rows(b.dx, 0, array.channels, gradient);
    list_rows(b.da, 0, array.inputs, made);
    if (to == b.length)
        std::memset(b.sums, 0, static_cast<size_t>(array.channels) * array.inputs * W * sizeof(float));
    tiles_back(larger(from, array.layer[0].start), to, 0, [&](ptrdiff_t start, ptrdiff_t stop) {
        const ptrdiff_t n = stop - start;
        dot_rows(array.channels, at(gradient, start), at(sources, start), array.inputs, n, 0, b.sums);
        if (first && !b.dinput.first) return;
        // A tile in working memory first, because the array before has other channels in the same rows.
        mix_rows(array.inputs, b.packed + array.p_rechannel_back, at(gradient, start), array.channels, nullptr,
                 NOTHING, {made, 0}, n);
        for (int c = 0; c < array.inputs; ++c) {
            float* out = (first ? b.dinput : b.dx)(c) + start;
            const float* tile = made[c];
            if (first) map_row(n, out, [&](ptrdiff_t i) { return load(out + i) + load(tile + i); });
            else std::memcpy(out, tile, static_cast<size_t>(n) * sizeof(float));
        }
    });
    if (from == 0)
        sum_dots(array.channels, array.inputs, b.sums, b.gradients + array.w_rechannel, array.inputs, 1);
}

// The working memory of an item, and where each part finds its own.
struct Tables {
    const WaveNet& net;
    bool apart;
    Table<float> dz, dskips;
    float* sums;

    // Of an array's skip sum, or of the net's output, which is that of the array after the last.
    Table<float> dskip(int array) const {
        return {dskips((apart ? array : array % 2) * net.largest_width), dskips.stride};
    }
    void choose(const WaveNetPart& part, Backward& b) const {
        // The head output of an array is part of the next one's skip sum.
        b.dskip = dskip(part.array);
        b.dhead = dskip(part.array + 1);
        b.sums = sums + (apart ? part.sums_before * W : 0);
        b.dz = dz;
        if (apart && part.step == Step::layer)
            b.dz.first = dz(net.array[part.array].layer[part.layer].row_dz);
    }
};

// Before the first part.
void begin(const Backward& b, const BackwardItem& item, const Table<float>& output) {
    const WaveNet& net = b.net;
    std::memset(item.weight_gradients, 0, static_cast<size_t>(net.weights) * sizeof(float));
    if (b.dcondition.first) zero_span(b.dcondition, net.conditions, 0, item.length);
    if (b.dinput.first) zero_span(b.dinput, net.inputs, 0, item.length);
    const ptrdiff_t made = item.length - net.first;
    for (int c = 0; c < net.array[net.arrays - 1].heads; ++c) {
        const float* gradient = item.output_gradient + c * made;
        float* out = output(c) + net.first;
        for (ptrdiff_t t = 0; t < made; ++t) out[t] = net.head_scale * gradient[t];
    }
}

void copy_rows(const Table<float>& from, int count, ptrdiff_t length, float* to) {
    for (int c = 0; to && c < count; ++c)
        std::memcpy(to + c * length, from(c), static_cast<size_t>(length) * sizeof(float));
}

void part_back(const Backward& b, const WaveNetPart& part, ptrdiff_t from, ptrdiff_t to) {
    const WaveNetArray& array = b.net.array[part.array];
    switch (part.step) {
        case Step::front: return front_back(b, array, part.array == 0, from, to);
        case Step::layer: return layer_back(b, array, array.layer[part.layer], from, to);
        case Step::head: return head_back(b, array, from, to);
    }
}

}  // namespace

void wavenet_backward(const WaveNet& net, const float* weights, const float* packed, const BackwardItem& item,
                      PartSpan parts, ptrdiff_t from, ptrdiff_t to) {
    const int width = net.largest_width;
    const auto take = [](float*& memory, ptrdiff_t count, ptrdiff_t stride) {
        const Table<float> made{memory, stride};
        memory += count * stride;
        return made;
    };
    float *memory = item.tables, *scratch = item.scratch;
    const auto rows = [&](ptrdiff_t count) { return take(memory, count, row_stride(item.length, net.largest_shift)); };
    Backward b{net, weights, packed, {item.rows, row_stride(item.length, 0)}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
               item.weight_gradients, item.length};
    Tables tables{net, item.apart, {}, {}, {}};
    b.dx = rows(width);
    tables.dz = rows(item.apart ? net.dz_rows : width);
    tables.dskips = rows(ptrdiff_t{width} * (item.apart ? net.arrays + 1 : 2));
    if (item.condition_gradient) b.dcondition = rows(width);
    if (item.input_gradient) b.dinput = rows(width);
    tables.sums = memory;
    b.a = take(scratch, width, TILE_STRIDE);
    b.da = take(scratch, width, TILE_STRIDE);
    b.gate = take(scratch, 4, TILE_STRIDE);

    if (parts.last == net.parts && to == item.length) begin(b, item, tables.dskip(net.arrays));
    for (int i = parts.last; i-- > parts.first;) {
        tables.choose(net.part[i], b);
        part_back(b, net.part[i], from, to);
    }
    if (parts.first > 0 || from > 0) return;
    if (item.input_gradient) copy_rows(b.dinput, net.inputs, item.length, item.input_gradient);
    if (item.condition_gradient) copy_rows(b.dcondition, net.conditions, item.length, item.condition_gradient);
}

}  // namespace nam::NAM_ISA
