// An LSTM of several layers with a linear head, trained or played as one piece.
//
// Time is cut into windows that gradients do not cross (truncated back-propagation), and windows into chunks of a
// few steps, which are the unit of work: a chunk passes through one layer after the other while all that it needs
// stays in the cache.
#pragma once
#include <cstddef>

#include "dispatch.h"

namespace nam {

struct LstmCall {
    int batch, steps, inputs, hidden, layers;
    int burn_in;   // steps whose outputs carry no gradient
    int truncate;  // steps of a window after the first, which is longer by the burn-in; 0 for a single window

    const float* x;  // of sample b, step t, input d: x[b * x_batch + t * x_step + d * x_input]
    ptrdiff_t x_batch, x_step, x_input;
    const float* hidden_start;  // of layer l, sample b, unit j: [l * start_layer + b * start_batch + j]
    const float* cell_start;
    ptrdiff_t start_layer, start_batch;
    // Four per layer: input matrix (4H, I), recurrent matrix (4H, H), two biases (4H) or null; gates i, f, g, o.
    const float* const* weights;
    const float* head_weight;  // (H); null: no head, and y are the last layer's h, (batch, steps, H)
    const float* head_bias;    // (1) or null

    float* y;           // (batch, steps), or as head_weight says
    float* hidden_end;  // (layers, batch, H), or null
    float* cell_end;
    float* record;  // what the backward pass needs, or null
};

struct LstmGradients {
    const float* y;  // like LstmCall::y
    float* x;        // (batch, steps, inputs), or null where nobody asks for it
    float* hidden_start;  // (layers, batch, H)
    float* cell_start;
    float* const* weights;  // as in LstmCall; null entries are left out
    float* head_weight;  // null without a head
    float* head_bias;
};

// Sizes in floats and counts, which depend on the shape and the vector width, never on the number of threads.
struct LstmPlan {
    int tasks;                 // parts of the backward pass, each with weight gradients of its own
    size_t record;             // for LstmCall::record
    size_t weights;            // packed weights for both directions
    size_t forward_scratch;    // per sample
    size_t backward_scratch;   // per thread
    size_t gradient;           // per task
};

}  // namespace nam

NAM_KERNEL(nam::LstmPlan, lstm_plan, (const nam::LstmCall& call))
NAM_KERNEL(void, lstm_pack, (const nam::LstmCall& call, float* packed))
// Runs samples first ≤ s < last over all time.
NAM_KERNEL(void, lstm_forward,
           (const nam::LstmCall& call, const float* packed, int first, int last, float* scratch))
NAM_KERNEL(void, lstm_backward,
           (const nam::LstmCall& call, const nam::LstmGradients& gradients, const float* packed, int task,
            float* sums, float* scratch))
// Adds up what the tasks found, in their order.
NAM_KERNEL(void, lstm_collect,
           (const nam::LstmCall& call, const nam::LstmGradients& gradients, const float* sums, int tasks))
