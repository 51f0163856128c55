// The two register blocks of an LSTM's backward pass.
#pragma once
#include "lstm_layout.h"

namespace nam::NAM_ISA {

// Gate gradients: [vector of units][row][gate][W], a row being a sample at a step.
struct GateGradients {
    float* at;
    ptrdiff_t next_vector;
};

// acc[v][s] = Σ over gates of weight[gate][v] · gradient[row + s][gate], all units' gates in order. Each gate costs
// V loads of weights and S broadcasts for V · S multiply-adds.
template <int V, int S>
NAM_INLINE void back_block(const Layer& layer, const float* weights, GateGradients gradients, ptrdiff_t row,
                           vf (&acc)[V][S]) {
    for (int v = 0; v < V; ++v)
        for (int s = 0; s < S; ++s) acc[v][s] = vf{};
    for (int unit_vector = 0; unit_vector < layer.vectors; ++unit_vector) {
        const float* gradient = gradients.at + unit_vector * gradients.next_vector + row * GATES;
        for (int gate = 0; gate < GATES; ++gate, weights += V * W) {
            vf w[V];
            for (int v = 0; v < V; ++v) w[v] = load(weights + v * W);
            for (int s = 0; s < S; ++s) {
                const vf g = splat(gradient[s * GATES + gate]);
                for (int v = 0; v < V; ++v) acc[v][s] += w[v] * g;
            }
        }
    }
}

// Rows of the next block: a power of two, as many as there are registers for.
template <int V>
constexpr int most_rows() {
    return REGISTERS >= 32 ? (V == 4 ? 4 : 8) : V == 1 ? 8 : V == 4 ? 2 : 4;
}

template <int V, int S, class Use>
NAM_INLINE void back_rows(const Layer& layer, const float* weights, GateGradients gradients, int rows, int first_vector,
                          const Use& use) {
    int row = 0;
    if constexpr (S <= most_rows<V>()) {
        for (; row + S <= rows; row += S) {
            vf acc[V][S];
            back_block<V, S>(layer, weights, gradients, row, acc);
            for (int v = 0; v < V; ++v)
                for (int s = 0; s < S; ++s) use(row + s, first_vector + v, acc[v][s]);
        }
        gradients.at += static_cast<ptrdiff_t>(row) * GATES;
    }
    if constexpr (S > 1) {
        const auto later = [&](int r, int v, vf value) { use(row + r, v, value); };
        if (row < rows) back_rows<V, S / 2>(layer, weights, gradients, rows - row, first_vector, later);
    }
}

// Multiplies a packed transposed matrix of `vectors` vectors with the gate gradients of `rows` rows, and hands
// use(row, vector, value) the results.
template <class Use>
NAM_INLINE void back_product(const Layer& layer, const float* weights, int vectors, GateGradients gradients, int rows,
                             const Use& use) {
    for (int first = 0, block; first < vectors; first += block) {
        block = next_vectors(vectors - first);
        switch (block) {
            case 1: back_rows<1, 8>(layer, weights, gradients, rows, first, use); break;
            case 2: back_rows<2, 8>(layer, weights, gradients, rows, first, use); break;
            case 3: back_rows<3, 8>(layer, weights, gradients, rows, first, use); break;
            default: back_rows<4, 8>(layer, weights, gradients, rows, first, use);
        }
        weights += static_cast<ptrdiff_t>(layer.vectors) * GATES * block * W;
    }
}

// sums[column][gate][W] += Σ over rows of gradient[row][gate][W] · source[row][column], for J columns: 4 loads and J
// broadcasts for 4 · J multiply-adds.
template <int J>
NAM_INLINE void weight_block(const float* gradients, const float* const (&sources)[J], ptrdiff_t stride, int rows,
                             float* sums) {
    vf acc[J][4];
    for (int j = 0; j < J; ++j)
        for (int gate = 0; gate < 4; ++gate) acc[j][gate] = vf{};
    for (ptrdiff_t row = 0; row < rows; ++row, gradients += GATES) {
        vf x[J];
        for (int j = 0; j < J; ++j) x[j] = splat(sources[j][row * stride]);
        for (int gate = 0; gate < 4; ++gate) {
            const vf g = load(gradients + gate * W);
            for (int j = 0; j < J; ++j) acc[j][gate] += g * x[j];
        }
    }
    for (int j = 0; j < J; ++j)
        for (int gate = 0; gate < 4; ++gate) {
            float* to = sums + j * GATES + gate * W;
            store(to, load(to) + acc[j][gate]);
        }
}

template <int J>
NAM_INLINE int weight_columns(const Layer& layer, const float* gradients, const float* source_rows, int rows, int column,
                              float* sums) {
    for (; column + J <= layer.columns; column += J) {
        const float* sources[J];
        for (int j = 0; j < J; ++j) sources[j] = source_rows + layer.place(column + j);
        weight_block<J>(gradients, sources, layer.stride, rows, sums + column * GATES);
    }
    return column;
}

// Adds a chunk's weight gradients: sums are [vector of units][column][gate][W].
inline void add_weight_gradients(const Layer& layer, GateGradients gradients, const float* source_rows, int rows,
                                 float* sums) {
    for (int v = 0; v < layer.vectors; ++v) {
        const float* from = gradients.at + v * gradients.next_vector;
        int column = 0;
        if constexpr (REGISTERS >= 32) column = weight_columns<6>(layer, from, source_rows, rows, column, sums);
        column = weight_columns<3>(layer, from, source_rows, rows, column, sums);
        column = weight_columns<2>(layer, from, source_rows, rows, column, sums);
        weight_columns<1>(layer, from, source_rows, rows, column, sums);
        sums += static_cast<ptrdiff_t>(layer.columns) * GATES;
    }
}

}  // namespace nam::NAM_ISA
