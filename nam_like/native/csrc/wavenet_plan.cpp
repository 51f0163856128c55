#include "wavenet_plan.h"

#include <algorithm>

namespace nam {
namespace {

// Takes numbers one after the other; running out of them is noticed at the end.
struct Reader {
    const int64_t* integer;
    const int64_t* integer_end;
    const double* real;
    const double* real_end;
    bool failed = false;

    int next() {
        if (integer == integer_end) return failed = true, 0;
        return static_cast<int>(*integer++);
    }
    float next_real() {
        if (real == real_end) return failed = true, 0.0f;
        return static_cast<float>(*real++);
    }
};

Activation read_activation(Reader& in) {
    Activation made;
    made.kind = static_cast<Kind>(in.next());
    made.slopes = in.next();
    for (float& constant : made.constants) constant = in.next_real();
    return made;
}

void read_layer(Reader& in, const WaveNetArray& array, WaveNetLayer& layer) {
    layer.kernel = in.next();
    layer.dilation = in.next();
    layer.pair = static_cast<Pair>(in.next());
    layer.residual = in.next() != 0;
    layer.primary = read_activation(in);
    layer.secondary = read_activation(in);
    layer.mid = array.bottleneck * (layer.pair == Pair::none ? 1 : 2);
    layer.keeps_z = layer.pair != Pair::none || !slope_from_output(layer.primary);
}

// Offsets of the weights in the order in which Python hands them over.
void lay_out_weights(WaveNetPlan& plan) {
    ptrdiff_t w = 0;
    const int conditions = plan.net.conditions;
    const auto take = [&w](ptrdiff_t count) { return (w += count) - count; };
    for (WaveNetArray& array : plan.arrays) {
        array.w_rechannel = take(ptrdiff_t{array.channels} * array.inputs);
        for (int i = 0; i < array.layers; ++i) {
            WaveNetLayer& layer = array.layer[i];
            layer.w_conv = take(ptrdiff_t{layer.mid} * array.channels * layer.kernel);
            layer.w_bias = take(layer.mid);
            layer.w_mixer = take(ptrdiff_t{layer.mid} * conditions);
            if (layer.residual) {
                layer.w_residual = take(ptrdiff_t{array.channels} * array.bottleneck);
                layer.w_residual_bias = take(array.channels);
            }
            if (array.skip_mix) {
                layer.w_skip = take(ptrdiff_t{array.skips} * array.bottleneck);
                layer.w_skip_bias = take(array.skips);
            }
            layer.primary.slope_offset = take(layer.primary.slopes);
            layer.secondary.slope_offset = take(layer.secondary.slopes);
        }
        array.w_head = take(ptrdiff_t{array.heads} * array.skips * array.head_kernel);
        array.w_head_bias = array.head_bias ? take(array.heads) : -1;
    }
    plan.net.weights = w;
}

void lay_out_packed(WaveNetPlan& plan) {
    ptrdiff_t p = 0;
    const int conditions = plan.net.conditions;
    const auto take = [&p](ptrdiff_t count) { return (p += count) - count; };
    for (WaveNetArray& array : plan.arrays) {
        array.p_rechannel = take(ptrdiff_t{array.channels} * array.inputs);
        array.p_rechannel_back = take(ptrdiff_t{array.channels} * array.inputs);
        array.p_head = take(ptrdiff_t{array.heads} * array.skips * array.head_kernel);
        array.p_head_back = take(ptrdiff_t{array.heads} * array.skips * array.head_kernel);
        for (int i = 0; i < array.layers; ++i) {
            WaveNetLayer& layer = array.layer[i];
            layer.p_conv = take(ptrdiff_t{layer.mid} * (array.channels * layer.kernel + conditions));
            layer.p_conv_back = take(ptrdiff_t{layer.mid} * array.channels * layer.kernel);
            layer.p_mixer_back = take(ptrdiff_t{layer.mid} * conditions);
            layer.p_residual = take(ptrdiff_t{array.channels} * array.bottleneck);
            layer.p_residual_back = take(ptrdiff_t{array.channels} * array.bottleneck);
            layer.p_skip = take(ptrdiff_t{array.skips} * array.bottleneck);
            layer.p_skip_back = take(ptrdiff_t{array.skips} * array.bottleneck);
        }
    }
    plan.net.packed = p;
}

// From which sample on everything is valid, and from which the skip sums are needed.
void lay_out_time(WaveNetPlan& plan) {
    ptrdiff_t at = 0, heads = 0, largest = 0;
    for (WaveNetArray& array : plan.arrays) {
        for (int i = 0; i < array.layers; ++i) {
            WaveNetLayer& layer = array.layer[i];
            const ptrdiff_t shift = ptrdiff_t{layer.kernel - 1} * layer.dilation;
            layer.start = at;
            layer.end = at += shift;
            largest = std::max(largest, shift);
        }
        heads += array.head_kernel - 1;
        largest = std::max<ptrdiff_t>(largest, array.head_kernel - 1);
    }
    plan.net.first = at + heads;
    plan.net.largest_shift = largest;
    ptrdiff_t need = plan.net.first;
    for (size_t i = plan.arrays.size(); i-- > 0;) plan.arrays[i].need = need -= plan.arrays[i].head_kernel - 1;
}

void lay_out_rows(WaveNetPlan& plan) {
    int row = 0, dz = 0;
    const auto take = [&row](int count) { return (row += count) - count; };
    plan.net.row_input = take(plan.net.inputs);
    plan.net.row_condition = plan.net.own_condition ? plan.net.row_input : take(plan.net.conditions);
    int input = plan.net.row_input;
    for (WaveNetArray& array : plan.arrays) array.row_sum = take(array.skips);
    for (size_t i = 0; i < plan.arrays.size(); ++i) {
        WaveNetArray& array = plan.arrays[i];
        array.row_input = input;
        int x = take(array.channels);
        for (int l = 0; l < array.layers; ++l) {
            WaveNetLayer& layer = array.layer[l];
            layer.row_x = x;
            layer.moves = l + 1 < array.layers || i + 1 < plan.arrays.size();
            if (layer.moves && layer.residual) x = take(array.channels);
            layer.row_next = x;
            layer.row_kept = take(layer.keeps_z ? layer.mid : array.bottleneck);
            layer.row_dz = (dz += layer.mid) - layer.mid;
        }
        input = x;
        // The head output of an array is what the next skip sum begins with.
        array.row_head = i + 1 < plan.arrays.size() ? plan.arrays[i + 1].row_sum : take(array.heads);
    }
    plan.net.rows = row;
    plan.net.dz_rows = dz;
}

bool within(int value, int low, int high) { return value >= low && value <= high; }

bool kind_is_known(const Activation& a) {
    return within(static_cast<int>(a.kind), 0, static_cast<int>(Kind::softsigmoid)) && a.slopes >= 0;
}

bool layer_fits(const WaveNet& net, const WaveNetArray& array, const WaveNetLayer& layer) {
    const int shared = net.conditions + 1;
    return within(layer.kernel, 1, MAX_SOURCES) && within(layer.dilation, 1, 1 << 24) &&
           within(static_cast<int>(layer.pair), 0, 2) && kind_is_known(layer.primary) &&
           kind_is_known(layer.secondary) && within(layer.mid, 1, 2 * MAX_CHANNELS) &&
           int64_t{array.channels} * layer.kernel + shared <= MAX_SOURCES &&
           int64_t{layer.mid} * layer.kernel <= MAX_SOURCES;
}

bool fits(const WaveNetPlan& plan) {
    const WaveNet& net = plan.net;
    int input = net.inputs, sum = 0;
    if (!within(net.inputs, 1, MAX_CHANNELS) || !within(net.conditions, 0, MAX_CHANNELS)) return false;
    if (net.own_condition && net.conditions != net.inputs) return false;
    for (const WaveNetArray& array : plan.arrays) {
        if (array.inputs != input || (sum && array.skips != sum)) return false;
        for (int width : {array.channels, array.bottleneck, array.skips, array.heads})
            if (!within(width, 1, MAX_CHANNELS)) return false;
        if (!array.skip_mix && array.skips != array.bottleneck) return false;
        if (array.head_kernel < 1) return false;
        if (int64_t{array.skips} * array.head_kernel + 1 > MAX_SOURCES) return false;
        if (int64_t{array.heads} * array.head_kernel > MAX_SOURCES) return false;
        for (int i = 0; i < array.layers; ++i)
            if (!layer_fits(net, array, array.layer[i])) return false;
        input = array.channels;
        sum = array.heads;
    }
    return true;
}

void find_width(WaveNet& net) {
    int width = std::max(net.inputs, net.conditions);
    for (int i = 0; i < net.arrays; ++i) {
        const WaveNetArray& a = net.array[i];
        width = std::max({width, a.channels, a.bottleneck, a.skips, a.heads});
        for (int l = 0; l < a.layers; ++l) width = std::max(width, a.layer[l].mid);
    }
    net.largest_width = width;
}

// What a row costs beside its multiplications, measured in those: its activation, and being read and written.
constexpr size_t ROW_COST = 60;

// The parts, what they cost, and how many vectors their gradients are summed in.
void list_parts(WaveNetPlan& plan) {
    WaveNet& net = plan.net;
    const auto add = [&](Step step, int array, int layer, int rows, size_t mixed, size_t summed, ptrdiff_t start) {
        plan.parts.push_back({step, array, layer, static_cast<double>(mixed + rows * ROW_COST), start, summed,
                              net.all_sums});
        net.all_sums += summed;
        net.largest_sums = std::max(net.largest_sums, summed);
    };
    for (int i = 0; i < net.arrays; ++i) {
        const WaveNetArray& a = net.array[i];
        const size_t front = size_t(a.channels) * a.inputs, taps = size_t(a.skips) * a.head_kernel;
        add(Step::front, i, 0, a.channels, front, front, a.layer[0].start);
        for (int l = 0; l < a.layers; ++l) {
            const WaveNetLayer& layer = a.layer[l];
            const size_t conv = size_t(layer.mid) * (size_t(a.channels) * layer.kernel + net.conditions);
            const size_t around = size_t(a.bottleneck) * (a.skip_mix * a.skips + layer.residual * a.channels);
            // The gradients of one layer's weights are all collected at once.
            const size_t biases = layer.mid + a.channels + a.skips;
            add(Step::layer, i, l, layer.mid, conv + around,
                conv + size_t(a.channels + a.skips) * a.bottleneck + biases, layer.end);
        }
        add(Step::head, i, 0, a.heads, a.heads * taps, a.heads * (taps + 1), a.need + a.head_kernel - 1);
    }
    net.part = plan.parts.data();
    net.parts = static_cast<int>(plan.parts.size());
}

}  // namespace

std::unique_ptr<WaveNetPlan> plan_wavenet(const int64_t* integers, int64_t integer_count, const double* reals,
                                          int64_t real_count) {
    auto plan = std::make_unique<WaveNetPlan>();
    WaveNet& net = plan->net;
    Reader in{integers, integers + integer_count, reals, reals + real_count};
    net.inputs = in.next();
    net.conditions = in.next();
    net.own_condition = in.next() != 0;
    net.arrays = in.next();
    net.head_scale = in.next_real();
    if (!within(net.arrays, 1, 1000)) return nullptr;
    plan->arrays.resize(net.arrays);
    plan->layers.resize(net.arrays);
    for (int i = 0; i < net.arrays; ++i) {
        WaveNetArray& array = plan->arrays[i];
        for (int* field : {&array.inputs, &array.channels, &array.bottleneck, &array.skips, &array.heads,
                           &array.head_kernel})
            *field = in.next();
        array.head_bias = in.next() != 0;
        array.skip_mix = in.next() != 0;
        array.layers = in.next();
        if (in.failed || !within(array.layers, 1, 100000)) return nullptr;
        plan->layers[i].resize(array.layers);
        array.layer = plan->layers[i].data();
        for (int l = 0; l < array.layers; ++l) read_layer(in, array, array.layer[l]);
    }
    net.array = plan->arrays.data();
    if (in.failed || in.integer != in.integer_end || in.real != in.real_end || !fits(*plan)) return nullptr;
    lay_out_weights(*plan);
    lay_out_packed(*plan);
    lay_out_time(*plan);
    lay_out_rows(*plan);
    find_width(net);
    list_parts(*plan);
    return plan;
}

size_t wavenet_scratch(const WaveNet& net) { return static_cast<size_t>(2 * net.largest_width + 5) * TILE_STRIDE; }

size_t wavenet_backward_tables(const WaveNet& net, ptrdiff_t length, bool apart) {
    const size_t width = net.largest_width, skips = (apart ? net.arrays + 1 : 2) * width;
    const size_t rows = width + (apart ? size_t(net.dz_rows) : width) + skips + 2 * width;
    return rows * row_stride(length, net.largest_shift) + (apart ? net.all_sums : net.largest_sums) * LANES;
}

}  // namespace nam
