// The forward pass of a ConvNet on one sample, some layers of it.
//
// A layer stores z, unless its output is all that anybody asks for. The activation of a stored z is made by the layer
// that reads it, tile by tile, and not kept: making it again in the backward pass costs less than memory does.
#include "convnet_rows.h"
#include "moments.h"
#include "wavenet_rows.h"

namespace nam::NAM_ISA {
namespace {

struct Forward {
    const ConvNetForward& call;
    Table<float> rows;
    Table<float> x;  // input of the layer, where it is not among the rows
};

constexpr Rows NOTHING{nullptr, 0};

bool stores_output(const ConvNetForward& call, const ConvNetLayer& layer) {
    return call.finishes || layer.keeps_output;
}

void activate(const Forward& f, const ConvNetLayer& layer, const Table<float>& to, int row, ptrdiff_t t, ptrdiff_t n) {
    for (int c = 0; c < layer.outputs; ++c) {
        fetch_rows({f.rows.first, f.rows.stride}, layer.row + c, 1, t + n, n);
        activate_normal_row(layer.activation, slope_below(layer.activation, f.call.weights, c),
                            f.call.normals[layer.row + c], f.rows(layer.row + c) + t, to(row + c) + t, n);
    }
}

// The last layer writes to the output, all others to rows.
void list_outputs(const Forward& f, const ConvNetLayer& layer, bool last, float** list) {
    if (!last) list_rows(f.rows, layer.row, layer.outputs, list);
    else list_rows(Table<float>{f.call.output - layer.end, f.call.output_stride}, 0, layer.outputs, list);
}

void layer_tile(const Forward& f, int l, ptrdiff_t t0, ptrdiff_t t1) {
    const ConvNet& net = f.call.net;
    const ConvNetLayer& layer = net.layer[l];
    const bool last = l == net.layers - 1;
    const float* source[MAX_SOURCES];
    float* z[MAX_CHANNELS];
    const bool made = l > 0 && !stores_output(f.call, net.layer[l - 1]);
    const ptrdiff_t start = larger(t0, layer.start), t = larger(t0, layer.end);
    if (made && start < t1) activate(f, net.layer[l - 1], f.x, 0, start, t1 - start);
    if (t >= t1) return;
    list_taps(made ? f.x : f.rows, made ? 0 : layer.row_x, layer.inputs, layer.kernel, layer.dilation, source);
    list_outputs(f, layer, last, z);
    mix_rows(layer.outputs, f.call.packed + layer.p_conv, {source, t}, layer.inputs * layer.kernel,
             layer.bias ? f.call.weights + layer.w_bias : nullptr, NOTHING, {z, t}, t1 - t);
    if (last) return;
    if (stores_output(f.call, layer)) activate(f, layer, f.rows, layer.row, t, t1 - t);
    else if (layer.norm && f.call.moments)
        add_moments(layer.outputs, z, t, t - layer.end, t1 - t, f.call.moments + layer.row);
}

}  // namespace

void convnet_forward(const ConvNetForward& call, int from, int to) {
    const ptrdiff_t length = call.length, stride = row_stride(length, 0);
    const Forward f{call, {call.rows, stride}, {call.scratch, stride}};
    for (int c = 0; from == 0 && c < call.net.inputs; ++c)
        std::memcpy(f.rows(c), call.input + c * call.input_stride, static_cast<size_t>(length) * sizeof(float));
    for (ptrdiff_t t = 0; t < length; t += CONVNET_TILE)
        for (int l = from; l < to; ++l) layer_tile(f, l, t, smaller(t + CONVNET_TILE, length));
}

}  // namespace nam::NAM_ISA
