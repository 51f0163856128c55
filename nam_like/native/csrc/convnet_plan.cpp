#include "convnet_plan.h"

#include <algorithm>

namespace nam {
namespace {

bool within(int value, int low, int high) { return value >= low && value <= high; }

bool fits(const ConvNetLayerFields& f, int inputs) {
    return within(f.outputs, 1, MAX_CHANNELS) && within(f.kernel, 1, MAX_SOURCES) &&
           within(f.dilation, 1, 1 << 24) && within(f.kind, 0, static_cast<int>(Kind::softsigmoid)) &&
           std::max(f.outputs, inputs) * static_cast<long>(f.kernel) <= MAX_SOURCES &&
           (f.slopes == 0 || f.slopes == 1 || f.slopes == f.outputs);
}

ConvNetLayer read_layer(const ConvNetLayerFields& f, int inputs) {
    ConvNetLayer layer{};
    layer.inputs = inputs;
    layer.outputs = f.outputs;
    layer.kernel = f.kernel;
    layer.dilation = f.dilation;
    layer.bias = f.bias != 0;
    layer.norm = f.norm != 0;
    layer.activation.kind = static_cast<Kind>(f.kind);
    layer.activation.slopes = f.slopes;
    std::copy(f.constants, f.constants + 4, layer.activation.constants);
    layer.keeps_output = !layer.norm && slope_from_output(layer.activation);
    return layer;
}

// Weights in the order of weight_shapes in nam_like/native/convnet.py, rows, and the samples that are valid.
void lay_out(ConvNet& net) {
    ptrdiff_t packed = 0, at = 0;
    const auto take = [](ptrdiff_t& end, ptrdiff_t count) { return (end += count) - count; };
    net.rows = net.inputs;
    net.keeps_outputs = true;
    for (int i = 0; i < net.layers; ++i) {
        ConvNetLayer& layer = net.layer[i];
        const ptrdiff_t products = ptrdiff_t{layer.outputs} * layer.inputs * layer.kernel;
        layer.w_conv = take(net.weights, products);
        layer.w_bias = take(net.weights, layer.bias ? layer.outputs : 0);
        layer.w_scale = take(net.weights, layer.norm ? layer.outputs : 0);
        layer.w_shift = take(net.weights, layer.norm ? layer.outputs : 0);
        layer.activation.slope_offset = take(net.weights, layer.activation.slopes);
        layer.p_conv = take(packed, products);
        layer.p_back = take(packed, products);
        const ptrdiff_t shift = ptrdiff_t{layer.kernel - 1} * layer.dilation;
        layer.start = at;
        layer.end = at += shift;
        layer.row_x = net.rows - layer.inputs;
        layer.row = net.rows;
        net.rows += layer.outputs;
        net.norms = net.norms || layer.norm;
        net.keeps_outputs = net.keeps_outputs && layer.keeps_output;
        net.widest = std::max({net.widest, layer.inputs, layer.outputs});
        net.largest_shift = std::max(net.largest_shift, shift);
        net.largest_sums = std::max(net.largest_sums, products);
    }
    net.stored_rows = net.rows - net.layer[net.layers - 1].outputs;
    net.first = at;
    net.packed = packed;
}

}  // namespace

std::unique_ptr<ConvNetPlan> plan_convnet(int inputs, const ConvNetLayerFields* fields, int layers) {
    if (!within(inputs, 1, MAX_CHANNELS) || !within(layers, 1, 100000)) return nullptr;
    auto plan = std::make_unique<ConvNetPlan>();
    int width = inputs;
    for (int i = 0; i < layers; width = fields[i++].outputs) {
        if (!fits(fields[i], width) || (i < layers - 1 && fields[i].norm != fields[0].norm)) return nullptr;
        plan->layers.push_back(read_layer(fields[i], width));
    }
    const ConvNetLayer& last = plan->layers.back();
    if (last.norm || last.activation.kind != Kind::identity) return nullptr;
    plan->net.inputs = inputs;
    plan->net.layers = layers;
    plan->net.layer = plan->layers.data();
    lay_out(plan->net);
    return plan;
}

size_t convnet_forward_scratch(const ConvNet& net, ptrdiff_t length) {
    return static_cast<size_t>(net.widest) * row_stride(length, 0);
}

size_t convnet_gradient_rows(const ConvNet& net, ptrdiff_t length) {
    return static_cast<size_t>(net.widest) * row_stride(length, net.largest_shift);
}

size_t convnet_backward_scratch(const ConvNet& net, ptrdiff_t length) {
    const size_t rows = net.norms ? convnet_gradient_rows(net, length) : 0;
    const size_t tiles = static_cast<size_t>(3 * net.widest) * CONVNET_TILE_STRIDE;
    return rows + tiles + static_cast<size_t>(net.largest_sums) * (LANES + 1);
}

}  // namespace nam
