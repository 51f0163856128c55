// The forward pass of an LSTM.
//
// A step of a layer has four stages, each for all samples of the task: the matrix product, the exponentials of all
// gates, the gates with the new cells, and h = o · tanh c. The nonlinearities are long chains of operations that wait
// for each other; the shorter the chains of a stage, the more of them fit into the core's window at a time.
#include "lstm_gates.h"
#include "lstm_layout.h"
#include "stream.h"

namespace nam::NAM_ISA {
namespace {

// Adds columns of the weights times sources, for P vectors of units and S samples.
template <int S, int P>
NAM_INLINE void add_columns(const Layer& layer, const float* weights, const float* sources, int count,
                            vf (&acc)[P][4][S]) {
    const ptrdiff_t next_vector = static_cast<ptrdiff_t>(layer.columns) * GATES, next_sample = layer.stride;
    for (int j = 0; j < count; ++j, weights += GATES) {
        vf source[S];
        for (int s = 0; s < S; ++s) source[s] = splat(sources[s * next_sample + j]);
        for (int p = 0; p < P; ++p)
            for (int gate = 0; gate < 4; ++gate) {
                const vf w = in_register(load(weights + p * next_vector + gate * W));
                for (int s = 0; s < S; ++s) acc[p][gate][s] += w * source[s];
            }
    }
}

// One register block: all four gates of P vectors of units, for S samples. Each column costs 4 · P loads of weights
// and S broadcasts for 4 · P · S multiply-adds. With P = 1 and S = 3 that is 7 loads for 12 multiply-adds: fewer than
// the core can do beside them, and more running sums than the 8 that it needs in flight (latency 4, two per cycle).
//
// Not inlined: with the constants of the nonlinearities around, the compiler would keep those in registers instead
// of the sums.
template <int S, int P>
__attribute__((noinline)) void product_block(const Layer& layer, const float* weights, const float* row,
                                             float* products) {
    const float* bias = weights + layer.inputs * GATES;
    vf acc[P][4][S];
    for (int p = 0; p < P; ++p)
        for (int gate = 0; gate < 4; ++gate) {
            const vf start = load(bias + static_cast<ptrdiff_t>(p) * layer.columns * GATES + gate * W);
            for (int s = 0; s < S; ++s) acc[p][gate][s] = start;
        }
    add_columns<S, P>(layer, weights, row + layer.input_at, layer.inputs, acc);
    add_columns<S, P>(layer, bias + GATES, row, layer.hidden, acc);
    for (int p = 0; p < P; ++p)
        for (int s = 0; s < S; ++s)
            for (int gate = 0; gate < 4; ++gate)
                store(products + (s * layer.vectors + p) * GATES + gate * W, acc[p][gate][s]);
}

// A single sample has four running sums only: two vectors of units at a time keep the core busy.
template <int S>
NAM_INLINE void product_samples(const Layer& layer, const float* weights, const float* row, float* products) {
    const ptrdiff_t next_vector = static_cast<ptrdiff_t>(layer.columns) * GATES;
    int v = 0;
    if constexpr (S == 1)
        for (; v + 2 <= layer.vectors; v += 2)
            product_block<S, 2>(layer, weights + v * next_vector, row, products + v * GATES);
    for (; v < layer.vectors; ++v) product_block<S, 1>(layer, weights + v * next_vector, row, products + v * GATES);
}

// Source rows of `samples` samples → products[sample][vector][gate][W].
void product(const Layer& layer, const float* weights, const float* row, int samples, float* products) {
    const int next = layer.vectors * GATES;
    int s = 0;
    if constexpr (REGISTERS >= 32)
        for (; s + 4 <= samples; s += 4)
            product_samples<4>(layer, weights, row + s * layer.stride, products + s * next);
    for (; samples - s >= 3 && samples - s != 4; s += 3)  // a last block of one sample would be slow
        product_samples<3>(layer, weights, row + s * layer.stride, products + s * next);
    for (; s + 2 <= samples; s += 2)
        product_samples<2>(layer, weights, row + s * layer.stride, products + s * next);
    for (; s < samples; ++s) product_samples<1>(layer, weights, row + s * layer.stride, products + s * next);
}

// Activates the gates, in place, and updates the cells.
void update_cells(int vectors, float* gates, float* cells) {
    for (int v = 0; v < vectors; ++v) exponentiate(gates + v * GATES);
    for (int v = 0; v < vectors; ++v, gates += GATES, cells += W) {
        const Gates a = activated(gates);
        store(cells, a.f * load(cells) + a.i * a.g);
        store(gates, a.i);
        store(gates + W, a.f);
        store(gates + 2 * W, a.g);
        store(gates + 3 * W, a.o);
    }
}

// A task's memory for one layer. All samples of the task lie side by side.
struct LayerMemory {
    float* rows;   // source rows, [steps + 1][sample]
    float* cells;  // [sample][units]
};

class Run {
public:
    Run(const LstmCall& call, const float* packed, int first, int last, float* scratch)
        : call_(call), packed_(packed), time_(call), record_(call), first_(first), samples_(last - first),
          gates_(scratch) {}

    void all() const {
        for (int l = 0; l < call_.layers; ++l) begin(l);
        for (int window = 0; window < time_.windows; ++window)
            for (int number = 0; number < time_.chunks_of(window); ++number) run(time_.chunk(window, number));
        if (call_.hidden_end)
            for (int l = 0; l < call_.layers; ++l) end(l);
        end_stream();
    }

private:
    LayerMemory memory(int l) const {
        const ptrdiff_t steps = time_.steps + 1;
        float* at = gates_ + samples_ * 4 * Layer(call_, 0).units;
        for (int i = 0; i < l; ++i) at += samples_ * (steps * Layer(call_, i).stride + Layer(call_, i).units);
        return {at, at + samples_ * steps * Layer(call_, l).stride};
    }

    void begin(int l) const {
        const Layer layer(call_, l);
        const LayerMemory b = memory(l);
        std::memset(b.rows, 0, samples_ * layer.stride * sizeof(float));
        std::memset(b.cells, 0, samples_ * layer.units * sizeof(float));
        for (int s = 0; s < samples_; ++s) {
            const ptrdiff_t from = l * call_.start_layer + (first_ + s) * call_.start_batch;
            std::memcpy(b.rows + s * layer.stride, call_.hidden_start + from, layer.hidden * sizeof(float));
            std::memcpy(b.cells + s * layer.units, call_.cell_start + from, layer.hidden * sizeof(float));
        }
    }

    void end(int l) const {
        const Layer layer(call_, l);
        const LayerMemory b = memory(l);
        for (int s = 0; s < samples_; ++s) {
            const ptrdiff_t to = (static_cast<ptrdiff_t>(l) * call_.batch + first_ + s) * layer.hidden;
            std::memcpy(call_.hidden_end + to, b.rows + s * layer.stride, layer.hidden * sizeof(float));
            std::memcpy(call_.cell_end + to, b.cells + s * layer.units, layer.hidden * sizeof(float));
        }
    }

    void run(const Chunk& chunk) const {
        load_input(chunk);
        const float* weights = packed_;
        for (int l = 0; l < call_.layers; ++l) {
            const Layer layer(call_, l);
            if (call_.record) record_state(l, chunk);
            for (int t = 0; t < chunk.length; ++t) step(l, layer, weights, chunk, t);
            weights += layer.packed_size();
        }
        if (call_.head_weight) head(chunk, weights);
        else give_hidden(chunk);
        for (int l = 0; l < call_.layers; ++l) {  // the last h are the first sources of the next chunk
            const Layer layer(call_, l);
            float* rows = memory(l).rows;
            for (int s = 0; s < samples_; ++s)
                std::memcpy(rows + s * layer.stride, rows + (chunk.length * samples_ + s) * layer.stride,
                            layer.units * sizeof(float));
        }
    }

    void load_input(const Chunk& chunk) const {
        const Layer layer(call_, 0);
        float* to = memory(0).rows + layer.input_at;
        for (int t = 0; t < chunk.length; ++t)
            for (int s = 0; s < samples_; ++s, to += layer.stride) {
                const float* x = call_.x + (first_ + s) * call_.x_batch + (chunk.begin + t) * call_.x_step;
                for (int j = 0; j < layer.inputs; ++j) to[j] = x[j * call_.x_input];
            }
    }

    void step(int l, const Layer& layer, const float* weights, const Chunk& chunk, int t) const {
        const LayerMemory b = memory(l);
        const float* row = b.rows + t * samples_ * layer.stride;
        product(layer, weights, row, samples_, gates_);
        update_cells(samples_ * layer.vectors, gates_, b.cells);
        float* next = b.rows + (t + 1) * samples_ * layer.stride;
        if (l + 1 < call_.layers) {
            const Layer above(call_, l + 1);
            float* upper = memory(l + 1).rows + t * samples_ * above.stride + above.input_at;
            store_hidden(layer, b.cells, next, upper, above.stride);
        } else {
            store_hidden(layer, b.cells, next, nullptr, 0);
        }
        if (call_.record) record_gates(l, layer, chunk, t);
    }

    // h, for the next step and for the layer above.
    void store_hidden(const Layer& layer, const float* cells, float* next, float* upper, ptrdiff_t upper_stride) const {
        const float* gates = gates_;
        for (int s = 0; s < samples_; ++s, next += layer.stride, upper += upper ? upper_stride : 0)
            for (int v = 0; v < layer.vectors; ++v, gates += GATES, cells += W) {
                const vf h = load(gates + 3 * W) * cell_tanh(load(cells));
                store(next + v * W, h);
                if (upper) store(upper + v * W, h);
            }
    }

    float* recorded(int sample, const Chunk& chunk, int l) const {
        return call_.record + (first_ + sample) * record_.sample + chunk.index * record_.chunk + l * record_.layer;
    }

    void record_gates(int l, const Layer& layer, const Chunk& chunk, int t) const {
        const int size = layer.vectors * GATES;
        float* to = recorded(0, chunk, l) + t * size;
        for (int s = 0; s < samples_; ++s, to += record_.sample)
            for (int i = 0; i < size; i += W) stream(to + i, load(gates_ + s * size + i));
    }

    void record_state(int l, const Chunk& chunk) const {
        const Layer layer(call_, l);
        const LayerMemory b = memory(l);
        for (int s = 0; s < samples_; ++s) {
            float* to = recorded(s, chunk, l) + record_.gates;
            std::memcpy(to, b.cells + s * layer.units, layer.units * sizeof(float));
            std::memcpy(to + layer.units, b.rows + s * layer.stride, layer.units * sizeof(float));
        }
    }

    void head(const Chunk& chunk, const float* weight) const {
        const Layer layer(call_, call_.layers - 1);
        const float* rows = memory(call_.layers - 1).rows + samples_ * layer.stride;
        const float bias = call_.head_bias ? call_.head_bias[0] : 0.0f;
        for (int s = 0; s < samples_; ++s) {
            float* y = call_.y + static_cast<ptrdiff_t>(first_ + s) * call_.steps + chunk.begin;
            for (int t = 0; t < chunk.length; ++t) {
                const float* h = rows + (t * samples_ + s) * layer.stride;
                vf product = load(h) * load(weight);
                for (int v = 1; v < layer.vectors; ++v) product += load(h + v * W) * load(weight + v * W);
                y[t] = sum(product) + bias;
            }
        }
    }

    void give_hidden(const Chunk& chunk) const {
        const Layer layer(call_, call_.layers - 1);
        const float* rows = memory(call_.layers - 1).rows + samples_ * layer.stride;
        for (int s = 0; s < samples_; ++s) {
            float* y = call_.y + (static_cast<ptrdiff_t>(first_ + s) * call_.steps + chunk.begin) * layer.hidden;
            for (int t = 0; t < chunk.length; ++t, y += layer.hidden)
                std::memcpy(y, rows + (t * samples_ + s) * layer.stride, layer.hidden * sizeof(float));
        }
    }

    const LstmCall& call_;
    const float* packed_;
    const Time time_;
    const Record record_;
    const int first_;
    const ptrdiff_t samples_;
    float* gates_;  // of the step in hand, [sample][vector][gate][W]
};

}  // namespace

void lstm_forward(const LstmCall& call, const float* packed, int first, int last, float* scratch) {
    Run(call, packed, first, last, scratch).all();
}

}  // namespace nam::NAM_ISA
