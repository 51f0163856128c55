// The gradient of one layer of a ConvNet on one sample.
//
// Time is gone through from the last tile to the first: the gradient of x at a sample needs that of z up to
// (K − 1)·dilation samples later, which the tiles before have left in the rows `dz`. A weight's gradient is taken
// against the same shifted rows of dz, so one tile of x, made again from what the forward pass has kept, serves all of
// it: weights, x, and on to dy of the layer before, which replaces dy of this one in `gradient`.
#include "convnet_rows.h"
#include "dot_rows.h"
#include "wavenet_rows.h"

namespace nam::NAM_ISA {
namespace {

constexpr Rows NOTHING{nullptr, 0};

struct Backward {
    const ConvNetBackward& call;
    const ConvNetLayer& layer;
    const ConvNetLayer* before;      // null for the first layer
    Table<const float> rows;         // what the forward pass has kept
    Table<float> dy, dy_before, dz;  // dz is dy in a net without normalisation
    Table<float> x, y, dx;           // one tile each; index 0 is its first sample
    float* sums;                     // running sums of dot_rows
    const float* future[MAX_SOURCES];  // dz once per tap, shifted
    const float* x_list[MAX_CHANNELS];
    float* dx_list[MAX_CHANNELS];
    bool makes_x;                    // x is made from z, tile by tile

    int taps() const { return layer.outputs * layer.kernel; }
    Rows x_at(ptrdiff_t t) const { return {x_list, makes_x ? 0 : t}; }
};

// dz on samples [t, t + n) of a layer whose dy the layer after it has left.
void gradient_of_z(const Backward& b, ptrdiff_t t, ptrdiff_t n) {
    for (int c = 0; c < b.layer.outputs; ++c) {
        const float* dy = b.dy(c) + t;
        fetch_rows({b.dy.first, b.dy.stride}, c, 1, t - CONVNET_TILE, CONVNET_TILE);
        fetch_rows(b.rows, b.layer.row + c, 1, t - CONVNET_TILE, CONVNET_TILE);
        const int row = b.layer.row + c;
        normal_row_back(b.call.normals[row], b.call.normal_gradients[row], b.rows(row) + t, dy, b.dz(c) + t, n);
    }
}

// x, the output of the layer before, from its z; y as well where the activation's derivative takes it.
void make_x(const Backward& b, ptrdiff_t t, ptrdiff_t n) {
    const ConvNetLayer& before = *b.before;
    const bool from_output = slope_from_output(before.activation);
    for (int c = 0; c < before.outputs; ++c) {
        const float below = slope_below(before.activation, b.call.weights, c);
        const Normal& normal = b.call.normals[before.row + c];
        const float* z = b.rows(before.row + c) + t;
        fetch_rows(b.rows, before.row + c, 1, t - CONVNET_TILE, CONVNET_TILE);
        if (from_output) {
            activate_normal_row(before.activation, below, normal, z, b.x(c), n);
        } else {
            normal_row(normal, z, b.y(c), n);
            activate_row(before.activation, below, b.y(c), b.x(c), n);
        }
    }
}

// From dx in the tile to dy of the layer before, and its sums over time.
void activation_back(const Backward& b, ptrdiff_t t, ptrdiff_t n) {
    const ConvNetLayer& before = *b.before;
    const Activation& activation = before.activation;
    const bool from_output = slope_from_output(activation);
    for (int c = 0; c < before.outputs; ++c) {
        const int row = before.row + c;
        const float below = slope_below(activation, b.call.weights, c);
        const float* kept = from_output ? b.x_list[c] + b.x_at(t).at : b.y(c);
        float *dx = b.dx(c), *dy = b.dy_before(c) + t, total[W] = {};
        if (activation.slopes)
            b.call.weight_gradients[activation.slope_offset + (activation.slopes == 1 ? 0 : c)] +=
                prelu_slope_gradient(kept, dx, n);
        slope_row_and_sum(activation, below, kept, dx, dy, n, total);
        GradientSums& sums = b.call.sums[row];
        sums.dy += sum(load(total));
        if (before.norm) sums.dy_z += dot_deviations(dy, b.rows(row) + t, b.call.normals[row].mean, n);
    }
}

// The larger group of rows as sources, because a block of dot_rows is made for many of them.
void weight_products(const Backward& b, ptrdiff_t t, ptrdiff_t n) {
    const Rows x = b.x_at(t), dz{b.future, t};
    if (b.layer.inputs <= b.taps()) dot_rows(b.layer.inputs, x, dz, b.taps(), n, 0, b.sums);
    else dot_rows(b.taps(), dz, x, b.layer.inputs, n, 0, b.sums);
}

// Adds the lanes up, and puts the weights' gradients in the order of the weights: [output][input][tap].
void collect_weights(const Backward& b) {
    const int inputs = b.layer.inputs, kernel = b.layer.kernel, taps = b.taps();
    const ptrdiff_t count = ptrdiff_t{inputs} * taps;
    float *by_input = b.sums + count * W, *to = b.call.weight_gradients + b.layer.w_conv;
    std::memset(by_input, 0, static_cast<size_t>(count) * sizeof(float));
    if (inputs <= taps) sum_dots(inputs, taps, b.sums, by_input, taps, 1);
    else sum_dots(taps, inputs, b.sums, by_input, 1, taps);
    for (int o = 0; o < b.layer.outputs; ++o)
        for (int i = 0; i < inputs; ++i, to += kernel)
            std::memcpy(to, by_input + ptrdiff_t{i} * taps + o * kernel, static_cast<size_t>(kernel) * sizeof(float));
}

void zero_span(const Table<float>& table, int count, ptrdiff_t from, ptrdiff_t to) {
    for (int c = 0; c < count; ++c)
        if (to > from) std::memset(table(c) + from, 0, static_cast<size_t>(to - from) * sizeof(float));
}

void layer_tile_back(const Backward& b, ptrdiff_t t, ptrdiff_t n) {
    const ptrdiff_t valid = larger(t, b.layer.end);
    if (b.layer.norm && valid < t + n) gradient_of_z(b, valid, t + n - valid);
    if (b.makes_x) make_x(b, t, n);
    weight_products(b, t, n);
    const Rows dz{b.future, t};
    if (b.before) {
        mix_rows(b.layer.inputs, b.call.packed + b.layer.p_back, dz, b.taps(), nullptr, NOTHING, {b.dx_list, 0}, n);
        activation_back(b, t, n);
    } else if (b.call.input_gradient) {
        float* to[MAX_CHANNELS];
        list_rows(Table<float>{b.call.input_gradient, b.call.length}, 0, b.layer.inputs, to);
        mix_rows(b.layer.inputs, b.call.packed + b.layer.p_back, dz, b.taps(), nullptr, NOTHING, {to, t}, n);
    }
}

// Nothing is between the last layer and the output.
void begin(const Backward& b) {
    const ptrdiff_t made = b.call.length - b.layer.end;
    for (int c = 0; c < b.layer.outputs; ++c) {
        float* dz = b.dz(c) + b.layer.end;
        std::memcpy(dz, b.call.output_gradient + c * made, static_cast<size_t>(made) * sizeof(float));
        double total = 0.0;
        for (ptrdiff_t t = 0; t < made; ++t) total += dz[t];
        b.call.sums[b.layer.row + c].dy = total;
    }
}

void make_lists(Backward& b) {
    const ConvNetLayer& layer = b.layer;
    list_future_taps(b.dz, 0, layer.outputs, layer.kernel, layer.dilation, b.future);
    if (b.makes_x) list_rows(b.x, 0, layer.inputs, b.x_list);
    else list_rows(b.rows, layer.row_x, layer.inputs, b.x_list);
    list_rows(b.dx, 0, layer.inputs, b.dx_list);
}

}  // namespace

void convnet_backward(const ConvNetBackward& call, int l) {
    const ConvNet& net = call.net;
    const ConvNetLayer& layer = net.layer[l];
    const ptrdiff_t stride = row_stride(call.length, net.largest_shift);
    const ptrdiff_t tiles = ptrdiff_t{net.widest} * CONVNET_TILE_STRIDE;
    float* scratch = call.scratch;
    const auto take = [&scratch](ptrdiff_t count) { return (scratch += count) - count; };
    Backward b{call, layer, l > 0 ? &net.layer[l - 1] : nullptr, {call.rows, row_stride(call.length, 0)},
               {call.gradient, stride}, {call.gradient_before, stride}, {call.gradient, stride},
               {}, {}, {}, nullptr, {}, {}, {}, false};
    if (net.norms) b.dz.first = take(net.widest * stride);
    b.x = {take(tiles), CONVNET_TILE_STRIDE};
    b.y = {take(tiles), CONVNET_TILE_STRIDE};
    b.dx = {take(tiles), CONVNET_TILE_STRIDE};
    b.sums = scratch;
    b.makes_x = b.before && !b.before->keeps_output;
    make_lists(b);
    if (l == net.layers - 1) begin(b);
    // Taps that reach beyond the last sample, or that look at samples without a z, must find zeros.
    zero_span(b.dz, layer.outputs, layer.start, layer.end);
    zero_span(b.dz, layer.outputs, call.length, call.length + layer.end - layer.start);
    std::memset(b.sums, 0, static_cast<size_t>(layer.inputs) * b.taps() * W * sizeof(float));
    for (ptrdiff_t stop = call.length; stop > layer.start;) {
        const ptrdiff_t start = larger(layer.start, (stop - 1) / CONVNET_TILE * CONVNET_TILE);
        layer_tile_back(b, start, stop - start);
        stop = start;
    }
    collect_weights(b);
}

}  // namespace nam::NAM_ISA
