// Puts a net's weights into the blocks that mix_rows reads, for the forward pass and transposed for the backward.
#include "../convnet.h"
#include "mix_rows.h"

namespace nam::NAM_ISA {

void convnet_pack(const ConvNet& net, const float* weights, float* packed) {
    for (int l = 0; l < net.layers; ++l) {
        const ConvNetLayer& layer = net.layer[l];
        const int taps = layer.inputs * layer.kernel, all = layer.outputs * layer.kernel;
        const float* conv = weights + layer.w_conv;
        pack_weights(conv, taps, 1, layer.outputs, taps, 0, taps, packed + layer.p_conv);
        for (int o = 0; o < layer.outputs; ++o)
            pack_weights(conv + ptrdiff_t{o} * taps, layer.kernel, 1, layer.inputs, layer.kernel, o * layer.kernel,
                         all, packed + layer.p_back);
    }
}

}  // namespace nam::NAM_ISA
