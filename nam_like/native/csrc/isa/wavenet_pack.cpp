// Puts a net's weights into the blocks that mix_rows reads, for the forward pass and transposed for the backward.
#include "../wavenet.h"
#include "mix_rows.h"

namespace nam::NAM_ISA {
namespace {

// A 1×1 (rows, columns) and its transpose.
void pack_both(const float* from, int rows, int columns, float* forward, float* back) {
    pack_weights(from, columns, 1, rows, columns, 0, columns, forward);
    pack_weights(from, 1, columns, columns, rows, 0, rows, back);
}

// A convolution (rows, channels, taps), transposed: to `channels` from rows × taps.
void pack_conv_back(const float* from, int rows, int channels, int taps, float* back) {
    const ptrdiff_t row = ptrdiff_t{channels} * taps;
    for (int r = 0; r < rows; ++r)
        pack_weights(from + r * row, taps, 1, channels, taps, r * taps, rows * taps, back);
}

void pack_layer(const WaveNet& net, const WaveNetArray& array, const WaveNetLayer& layer, const float* weights,
                float* packed) {
    const int taps = array.channels * layer.kernel, sources = taps + net.conditions;
    pack_weights(weights + layer.w_conv, taps, 1, layer.mid, taps, 0, sources, packed + layer.p_conv);
    pack_conv_back(weights + layer.w_conv, layer.mid, array.channels, layer.kernel, packed + layer.p_conv_back);
    if (net.conditions) {
        const float* mixer = weights + layer.w_mixer;
        pack_weights(mixer, net.conditions, 1, layer.mid, net.conditions, taps, sources, packed + layer.p_conv);
        pack_weights(mixer, 1, net.conditions, net.conditions, layer.mid, 0, layer.mid,
                     packed + layer.p_mixer_back);
    }
    if (layer.residual)
        pack_both(weights + layer.w_residual, array.channels, array.bottleneck, packed + layer.p_residual,
                  packed + layer.p_residual_back);
    if (array.skip_mix)
        pack_both(weights + layer.w_skip, array.skips, array.bottleneck, packed + layer.p_skip,
                  packed + layer.p_skip_back);
}

}  // namespace

void wavenet_pack(const WaveNet& net, const float* weights, float* packed) {
    for (int i = 0; i < net.arrays; ++i) {
        const WaveNetArray& array = net.array[i];
        pack_both(weights + array.w_rechannel, array.channels, array.inputs, packed + array.p_rechannel,
                  packed + array.p_rechannel_back);
        const int taps = array.skips * array.head_kernel;
        pack_weights(weights + array.w_head, taps, 1, array.heads, taps, 0, taps, packed + array.p_head);
        pack_conv_back(weights + array.w_head, array.heads, array.skips, array.head_kernel,
                       packed + array.p_head_back);
        for (int l = 0; l < array.layers; ++l) pack_layer(net, array, array.layer[l], weights, packed);
    }
}

}  // namespace nam::NAM_ISA
