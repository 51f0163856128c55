// The kernels of the streaming player: what each instruction set computes for one block of samples.
//
// A block is at most STREAM_BLOCK samples. Rows are signals over time. Kernels work on whole vectors: they may read and
// write up to STREAM_PAD samples past the end of a block, where nobody keeps anything (see stream_signal.h).
#pragma once
#include <cstddef>

#include "dispatch.h"
#include "wavenet.h"

namespace nam {

inline constexpr int STREAM_BLOCK = 64;  // samples that pass through all operations at once
inline constexpr int STREAM_PAD = 16;    // floats of the widest vector

// `rows` rows, `stride` floats apart; `first` is the first sample of the block in the first row.
struct SourceRows {
    const float* first;
    ptrdiff_t stride;
    int rows;
};
struct TargetRows {
    float* first;
    ptrdiff_t stride;
    int rows;
};

// out[c] = bias[c] + base[c] + Σ_j weight[c][j] · source[j], the sources being the rows of all groups in turn.
struct StreamMix {
    const float* weights;       // as stream_pack packed them
    const SourceRows* groups;
    int group_count;
    int sources;                // rows of all groups
    const float* bias;
    SourceRows base;            // first is null where there is none; may be `out`
    TargetRows out;
};

// a = primary(z), or with a second half of rows its product or blend with secondary(z₂);
// out = a and sum = a, or sum += a.
struct StreamActivate {
    Activation primary, secondary;
    Pair pair;
    const float* primary_slopes;    // one per row, for PReLU
    const float* secondary_slopes;
    SourceRows z;                   // rows of the second half follow those of the first
    TargetRows out;                 // first is null where nobody reads a
    TargetRows sum;                 // first is null where a is not summed
    bool adds;                      // sum += a instead of sum = a
};

// out = x · scale + shift, row by row.
struct StreamModulate {
    SourceRows x, scale, shift;     // shift.first is null where there is none
    TargetRows out;
};

// A stack of LSTM layers and a linear output, sample by sample. `units` is `hidden` rounded up to whole vectors.
struct StreamLstm {
    int layers, hidden;
    bool fast;             // with the plugins' tanh
    const float* weights;  // as stream_lstm_pack packed them
    const float* head;     // (units), zero from `hidden` on
    float head_bias;
    float* state;          // per layer h, room for the next h, c, (units) each
    const float* x;
    float* y;
};

}  // namespace nam

// Floats of a state row, and of the packed weights.
NAM_KERNEL(ptrdiff_t, stream_lstm_units, (int hidden))
NAM_KERNEL(ptrdiff_t, stream_lstm_packed, (int layers, int hidden))
// `weights` holds per layer (4 · hidden, inputs + hidden), gates i, f, g, o one after the other, then (4 · hidden) biases.
NAM_KERNEL(void, stream_lstm_pack, (const float* weights, int layers, int hidden, float* packed))
NAM_KERNEL(void, stream_lstm, (const nam::StreamLstm& job, ptrdiff_t n))
NAM_KERNEL(void, stream_pack, (const float* weights, int channels, int sources, float* packed))
NAM_KERNEL(void, stream_mix, (const nam::StreamMix& job, ptrdiff_t n))
NAM_KERNEL(void, stream_activate, (const nam::StreamActivate& job, ptrdiff_t n))
NAM_KERNEL(void, stream_modulate, (const nam::StreamModulate& job, ptrdiff_t n))
