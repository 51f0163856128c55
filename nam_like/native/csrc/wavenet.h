// WaveNet: what a net is made of, where its weights lie, and the kernels that play it and take its gradient.
//
// A layer on samples t (rows are channels, d its dilation, K its taps):
//     z[t] = b + Σ_k W_k · x[t − (K−1−k)·d] + M · condition[t]
//     a[t] = activation(z[t])
//     next x[t] = x[t] + R · a[t] + r          skip[t] += a[t], or H · a[t] + h
// A layer array is a 1×1 in front, layers, and a convolution over the sum of their skip terms, which begins with
// the output of the array before.
//
// Time is absolute: all rows of a sample have the same time axis, and what needs `s` past samples is valid from
// s on. Sample 0 of the output is sample `first` of the input.
#pragma once
#include <cstddef>
#include <cstdint>

#include "dispatch.h"

namespace nam {

inline constexpr int MAX_CHANNELS = 64;    // of any row group
inline constexpr int MAX_SOURCES = 1100;   // rows that one mix or dot reads: channels × taps + condition + ones
inline constexpr int LANES = 16;             // of the widest vectors
inline constexpr int TILE = 192;           // samples that pass through a layer at once
inline constexpr ptrdiff_t TILE_STRIDE = TILE + 16;  // floats between the rows of a tile in working memory

enum class Kind : int {
    identity, tanh, hardtanh, fasttanh, relu, leaky_relu, prelu, sigmoid, silu, hardswish, leaky_hardtanh,
    softsign, softsigmoid,
};
enum class Pair : int { none, multiply, blend };

struct Activation {
    Kind kind = Kind::identity;
    float constants[4] = {};      // limits and slopes, as csrc/isa/activations.h reads them
    int slopes = 0;               // trainable slopes (PReLU): 0, 1 or one per channel
    ptrdiff_t slope_offset = 0;   // in the weights
};

// Whether the derivative is computed from the output a; the others need the input z.
inline bool slope_from_output(const Activation& activation) {
    switch (activation.kind) {
        case Kind::identity: case Kind::tanh: case Kind::sigmoid: case Kind::relu: case Kind::hardtanh: return true;
        case Kind::leaky_relu: return activation.constants[0] > 0.0f;  // then a has the sign of z
        default: return false;
    }
}

// Offsets count floats: `w_…` in the net's weights, `p_…` in the packed weights.
struct WaveNetLayer {
    int kernel, dilation, mid;    // mid: channels of z
    Pair pair;
    Activation primary, secondary;
    bool residual;                // has the residual 1×1
    bool moves;                   // the residual after it is read by somebody
    bool keeps_z;                 // the backward pass needs z; otherwise a is enough
    ptrdiff_t start, end;         // samples from which x and next x are valid
    ptrdiff_t w_conv, w_bias, w_mixer, w_residual, w_residual_bias, w_skip, w_skip_bias;
    ptrdiff_t p_conv, p_residual, p_skip, p_conv_back, p_residual_back, p_skip_back, p_mixer_back;
    int row_x, row_next, row_kept;  // first rows of x, next x, and kept z or a, in a sample's rows
    int row_dz;                   // first of its rows of dz, where each layer has its own
};

struct WaveNetArray {
    int inputs, channels, bottleneck, skips, heads, head_kernel;
    bool head_bias, skip_mix;     // skip_mix: a 1×1 on the skip path
    int layers;
    WaveNetLayer* layer;
    ptrdiff_t need;               // sample from which its skip sum is needed
    ptrdiff_t w_rechannel, w_head, w_head_bias;
    ptrdiff_t p_rechannel, p_head, p_rechannel_back, p_head_back;
    int row_input, row_sum, row_head;
};

// The parts of a net in the order in which a signal passes through them: the 1×1 in front, the layers and the head
// of the first array, then those of the next one.
enum class Step : int { front, layer, head };
struct WaveNetPart {
    Step step;
    int array, layer;
    double work;                  // per sample, in multiplications
    ptrdiff_t start;              // sample from which its output is needed
    size_t sums;                  // vectors of running sums that its gradient needs
    size_t sums_before;           // those of all parts before it
};
struct PartSpan {
    int first, last;              // without `last`
};

struct WaveNet {
    int inputs, conditions;       // rows of the input, and of the condition (0: none)
    bool own_condition;           // the condition is the input
    int arrays;
    WaveNetArray* array;
    int parts;
    WaveNetPart* part;
    float head_scale;
    ptrdiff_t first;              // past samples that the output needs
    ptrdiff_t weights, packed;    // floats
    ptrdiff_t largest_shift;      // largest (K−1)·d, of heads too
    int rows;                     // rows of a sample that is trained on
    int row_input, row_condition;
    int dz_rows;                  // rows of dz of all layers
    size_t largest_sums, all_sums;  // vectors of running sums: of the part that has most, and of all parts
    int largest_width;            // channels of the widest group
};

// One sample on its way through the net. The rows of input (inputs, length) and condition (conditions, length) are
// input_stride floats apart, those of output (heads, length − first) output_stride. `rows` holds net.rows rows of
// row_stride(length, 0) floats, which the backward pass reads; `scratch` is of the thread's own.
struct ForwardItem {
    const float *input, *condition;
    ptrdiff_t input_stride, length;
    float* output;
    ptrdiff_t output_stride;
    float *rows, *scratch;
};

// The way back: output_gradient (heads, length − first) → weight_gradients (net.weights, is overwritten),
// input_gradient (inputs, length) and condition_gradient (conditions, length), which may be null. Where one thread
// does all parts, they share rows of `tables`; `apart` they have rows of their own, because several threads are
// at work on them.
struct BackwardItem {
    const float* output_gradient;
    ptrdiff_t length;
    const float* rows;
    float *weight_gradients, *input_gradient, *condition_gradient;
    bool apart;
    float *tables, *scratch;
};

// Floats between rows of one sample of `length`. An odd multiple of cache lines, so that the rows of a tile do
// not all fall into the same sets of the cache; and readable past the end, as mix_rows asks.
inline ptrdiff_t row_stride(ptrdiff_t length, ptrdiff_t shift) {
    const ptrdiff_t lines = (length + shift + 32 + 15) / 16;
    return (lines + ((13 - lines) % 16 + 16) % 16) * 16;
}

// Floats of working memory: of a thread, and of an item on its way back.
size_t wavenet_scratch(const WaveNet& net);
size_t wavenet_backward_tables(const WaveNet& net, ptrdiff_t length, bool apart);

}  // namespace nam

NAM_KERNEL(void, wavenet_pack, (const WaveNet& net, const float* weights, float* packed))

// Plays samples [from, to) through some parts of the net. Those before them, and all parts before these samples, must
// have been played already. `from` is a multiple of TILE, and so is `to` unless it is the end.
NAM_KERNEL(void, wavenet_forward,
           (const WaveNet& net, const float* weights, const float* packed, const ForwardItem& item, PartSpan parts,
            ptrdiff_t from, ptrdiff_t to))

// The same backwards, from the last part and the last sample to the first. What comes out does not depend on how parts
// and samples are divided among calls, to the last bit.
NAM_KERNEL(void, wavenet_backward,
           (const WaveNet& net, const float* weights, const float* packed, const BackwardItem& item, PartSpan parts,
            ptrdiff_t from, ptrdiff_t to))
