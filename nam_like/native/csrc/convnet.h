// ConvNet: what a net is made of, where its weights lie, and the kernels that play it and take its gradient.
//
// A layer on samples t (rows are channels, d its dilation, K its taps), with what is optional in brackets:
//     z[t] = [b +] Σ_k W_k · x[t − (K−1−k)·d]
//     y[t] = [γ · (z[t] − mean) / √(variance + ε) + β]        next x[t] = activation(y[t])
// The last layer is a 1×1 as a rule; it has no normalisation and no activation, and its z is the output.
//
// Mean and variance are those of the whole batch in training, so all samples must have passed one layer before any
// may enter the next. Nets without, or with fixed statistics, play one sample after the other.
//
// Time is absolute, as in wavenet.h: all rows of a sample have one time axis, and what needs `s` past samples is
// valid from s on.
#pragma once
#include "wavenet.h"

namespace nam {

inline constexpr int CONVNET_TILE = 192;  // samples that are worked on at once
inline constexpr ptrdiff_t CONVNET_TILE_STRIDE = CONVNET_TILE + 16;

// Offsets count floats: `w_…` in the net's weights, `p_…` in the packed weights.
struct ConvNetLayer {
    int inputs, outputs, kernel, dilation;
    bool bias, norm;
    Activation activation;
    bool keeps_output;         // the backward pass needs its output only; otherwise it gets z
    ptrdiff_t start, end;      // samples from which x and z are valid
    ptrdiff_t w_conv, w_bias, w_scale, w_shift;  // γ is the scale, β the shift
    ptrdiff_t p_conv, p_back;
    int row_x, row;            // first rows of x and of z (or next x), in a sample's rows
};

struct ConvNet {
    int inputs, layers;
    ConvNetLayer* layer;
    bool norms;                // all layers normalise, but the last; otherwise none does
    bool keeps_outputs;        // all layers do
    int rows;                  // of the input and all layers; the last one's are not stored
    int stored_rows;
    int widest;                // channels of the widest layer
    ptrdiff_t first;           // past samples that the output needs
    ptrdiff_t weights, packed; // floats
    ptrdiff_t largest_shift;   // largest (K−1)·d
    ptrdiff_t largest_sums;    // pairs of rows in the largest weight gradient
};

// How z becomes y in one channel; the defaults are no normalisation.
struct Normal {
    float mean = 0.0f, scale = 1.0f, shift = 0.0f;
};
// What the statistics of the batch, which depend on z, take from the gradient of z:
//     dz = scale · (dy − constant − along · (z − mean))
struct NormalGradient {
    float constant = 0.0f, along = 0.0f;
};
// Of z, of one channel and one sample: the mean, and the sum of the squared deviations from it.
struct Moments {
    double mean, squares;
};
// Of one channel and one sample: Σ dy, and Σ dy · (z − mean).
struct GradientSums {
    double dy, dy_z;
};

// One sample of a batch. Arrays of Normal, Moments, … have an element per row.
struct ConvNetForward {
    const ConvNet& net;
    const float *weights, *packed;
    const Normal* normals;
    bool finishes;             // all layers store their output, because nobody asks for z
    const float* input;        // (inputs, length), rows input_stride floats apart
    ptrdiff_t input_stride, length;
    float* output;             // (outputs of the last layer, length − first)
    ptrdiff_t output_stride;
    float* rows;               // stored_rows rows of row_stride(length, 0) floats
    Moments* moments;          // zeros; null where nobody asks
    float* scratch;
};

struct ConvNetBackward {
    const ConvNet& net;
    const float *weights, *packed;
    const Normal* normals;
    const NormalGradient* normal_gradients;
    const float* output_gradient;  // (outputs of the last layer, length − first)
    ptrdiff_t length;
    const float* rows;
    float* gradient;           // dy of the layer, unless it is the last: convnet_gradient_rows floats
    float* gradient_before;    // for dy of the layer before; in a net that normalises it may be `gradient`
    float* weight_gradients;   // of convolutions and trained slopes; the sums say the rest
    GradientSums* sums;
    float* input_gradient;     // (inputs, length), or null
    float* scratch;
};

// Floats of working memory that one thread needs.
size_t convnet_forward_scratch(const ConvNet& net, ptrdiff_t length);
size_t convnet_backward_scratch(const ConvNet& net, ptrdiff_t length);
// Floats of the rows of a gradient.
size_t convnet_gradient_rows(const ConvNet& net, ptrdiff_t length);

}  // namespace nam

NAM_KERNEL(void, convnet_pack, (const ConvNet& net, const float* weights, float* packed))

// Plays layers from ≤ l < to, which read what the layers before have stored. More than one at once only where all of
// them store their output.
NAM_KERNEL(void, convnet_forward, (const ConvNetForward& call, int from, int to))

// The gradients of layer l: from dz of its own (or dy, which it finds in `gradient`) to dy of the layer before.
NAM_KERNEL(void, convnet_backward, (const ConvNetBackward& call, int l))
