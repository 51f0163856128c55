// Weights of an LSTM in the order in which the kernels read them, the gradients back in the order of PyTorch, and
// the sizes of everything.
#include "lstm_gates.h"
#include "lstm_layout.h"

namespace nam::NAM_ISA {
namespace {

// From columns of the layout to PyTorch's tensors: input matrix, recurrent matrix, or (null) the biases.
struct Column {
    const Layer& layer;
    int index;
    bool is_bias() const { return index == layer.inputs; }
    int matrix() const { return index < layer.inputs ? 0 : 1; }
    int width() const { return matrix() ? layer.hidden : layer.inputs; }
    int at() const { return matrix() ? index - layer.inputs - 1 : index; }
};

void pack_forward(const Layer& layer, const float* const* weights, float* to) {
    for (int v = 0; v < layer.vectors; ++v)
        for (int index = 0; index < layer.columns; ++index)
            for (int gate = 0; gate < 4; ++gate)
                for (int lane = 0; lane < W; ++lane, ++to) {
                    const int unit = v * W + lane, row = gate * layer.hidden + unit;
                    const Column column{layer, index};
                    if (unit >= layer.hidden) *to = 0.0f;
                    else if (column.is_bias()) *to = weights[2] ? weights[2][row] + weights[3][row] : 0.0f;
                    else *to = weights[column.matrix()][static_cast<ptrdiff_t>(row) * column.width() + column.at()];
                    *to *= gate_factor(gate);
                }
}

// The transposed matrix (4H, width).
void pack_back(const Layer& layer, const float* matrix, int width, float* to) {
    const int vectors = divide_up(width, W);
    for (int first = 0, block; first < vectors; first += block) {
        block = next_vectors(vectors - first);
        for (int packed_row = 0; packed_row < layer.vectors * GATES; ++packed_row) {
            const int unit = packed_row / GATES * W + packed_row % W, gate = packed_row % GATES / W;
            for (int column = first * W; column < (first + block) * W; ++column, ++to)
                *to = unit < layer.hidden && column < width
                          ? matrix[static_cast<ptrdiff_t>(gate * layer.hidden + unit) * width + column]
                          : 0.0f;
        }
    }
}

// Adds the tasks' sums for one weight; `at` is its place in them.
float total(const float* sums, size_t at, int tasks, size_t size) {
    float result = 0.0f;
    for (int task = 0; task < tasks; ++task) result += sums[task * size + at];
    return result;
}

}  // namespace

LstmPlan lstm_plan(const LstmCall& call) {
    LstmPlan plan = {};
    const Tasks tasks(call);
    const Layer any(call, 0);
    const size_t steps = Time(call).steps;
    plan.tasks = tasks.count;
    plan.record = Record(call).sample * call.batch;
    plan.weights = any.units;
    plan.gradient = any.units + W;
    plan.forward_scratch = 4 * any.units;
    plan.backward_scratch = steps * tasks.samples * any.units;
    for (int l = 0; l < call.layers; ++l) {
        const Layer layer(call, l);
        plan.weights += layer.packed_size();
        plan.gradient += layer.forward_size();
        plan.forward_scratch += (steps + 1) * layer.stride + layer.units;
        plan.backward_scratch += (steps + 1) * tasks.samples * (layer.stride + 7 * layer.units);
    }
    return plan;
}

void lstm_pack(const LstmCall& call, float* packed) {
    for (int l = 0; l < call.layers; ++l) {
        const Layer layer(call, l);
        const float* const* weights = call.weights + 4 * l;
        pack_forward(layer, weights, packed);
        packed += layer.forward_size();
        pack_back(layer, weights[1], layer.hidden, packed);
        packed += layer.recurrent_back_size();
        pack_back(layer, weights[0], layer.inputs, packed);
        packed += layer.input_back_size();
    }
    const Layer any(call, 0);
    for (int unit = 0; unit < any.units; ++unit)
        packed[unit] = call.head_weight && unit < any.hidden ? call.head_weight[unit] : 0.0f;
}

void lstm_collect(const LstmCall& call, const LstmGradients& gradients, const float* sums, int tasks) {
    const size_t size = lstm_plan(call).gradient;
    size_t at = 0;
    for (int l = 0; l < call.layers; ++l) {
        const Layer layer(call, l);
        float* const* out = gradients.weights + 4 * l;
        for (int v = 0; v < layer.vectors; ++v)
            for (int index = 0; index < layer.columns; ++index)
                for (int gate = 0; gate < 4; ++gate)
                    for (int lane = 0; lane < W; ++lane, ++at) {
                        const int unit = v * W + lane, row = gate * layer.hidden + unit;
                        if (unit >= layer.hidden) continue;
                        const Column column{layer, index};
                        const float value = total(sums, at, tasks, size);
                        if (column.is_bias()) {
                            if (out[2]) out[2][row] = out[3][row] = value;
                        } else {
                            out[column.matrix()][static_cast<ptrdiff_t>(row) * column.width() + column.at()] = value;
                        }
                    }
    }
    if (!gradients.head_weight) return;
    const Layer any(call, 0);
    for (int unit = 0; unit < any.hidden; ++unit)
        gradients.head_weight[unit] = total(sums, at + unit, tasks, size);
    at += any.units;
    gradients.head_bias[0] = total(sums, at, tasks, size);
}

}  // namespace nam::NAM_ISA
