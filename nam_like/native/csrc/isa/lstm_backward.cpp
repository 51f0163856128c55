// The backward pass of an LSTM.
//
// A task works through its windows from the end, chunk by chunk. For each chunk it first works out again what the
// record leaves out (cells, their tanh, h: elementwise, from the recorded gates), then goes through the layers from
// the last to the first:
//
//   1. recurrence: back in time, dh = dh from above + Rᵀ · (gate gradients of the next step), and from it the
//      gate gradients of this step;
//   2. weight gradients: sums over the rows of gate gradient × source. They start from zero in each chunk and are
//      then added to the task's, so that rounding errors of long sums stay small;
//   3. the gradient of the layer's input, over all rows of the chunk at once.
//
// All three read the gate gradients of one chunk, which fit the first or second level of the cache.
#include "lstm_back_blocks.h"
#include "lstm_gates.h"

namespace nam::NAM_ISA {
namespace {

// The record lies in main memory, and in an order in which the processor does not foresee what is read next.
NAM_INLINE void prefetch(const float* p) { __builtin_prefetch(p, 0, 2); }
inline constexpr int CACHE_LINE = 16;  // floats

// A task's memory for one layer. All samples of the task lie side by side: row = step × samples + sample.
struct Buffers {
    float* rows;                // source rows, [steps + 1]
    float* cells;               // [steps + 1][sample][units], beginning with the one before the chunk
    float* tanhs;               // of the cells after each step
    GateGradients gates;        // [steps + 1]: the last are those of the chunk that follows in time
    float* cell_gradients;      // [sample][units]
};

class Task {
public:
    Task(const LstmCall& call, const LstmGradients& out, const float* packed, int index, float* sums, float* scratch)
        : call_(call), out_(out), packed_(packed), time_(call), record_(call), sums_(sums), scratch_(scratch) {
        const Tasks tasks(call);
        const int range = index % tasks.ranges, run = index / tasks.ranges;
        first_sample_ = range * tasks.samples;
        samples_ = smaller(tasks.samples, call.batch - first_sample_);
        first_window_ = run ? 1 + (run - 1) * tasks.windows : 0;
        last_window_ = run ? smaller(first_window_ + tasks.windows, time_.windows) : 1;
    }

    void all() {
        for (int window = first_window_; window < last_window_; ++window) {
            for (int l = 0; l < call_.layers; ++l) clear(l);
            for (int number = time_.chunks_of(window) - 1; number >= 0; --number) run(time_.chunk(window, number));
            if (window == 0) {
                const float* packed = packed_;
                for (int l = 0; l < call_.layers; ++l) {
                    start_gradients(l, packed + Layer(call_, l).forward_size());
                    packed += Layer(call_, l).packed_size();
                }
            }
        }
    }

private:
    size_t rows(int steps) const { return static_cast<size_t>(steps) * samples_; }
    float* above() const { return scratch_; }  // gradient of a layer's h from above, [step][sample][units]

    Buffers buffers(int l) const {
        const size_t all = rows(time_.steps + 1);
        float* at = scratch_ + rows(time_.steps) * Layer(call_, 0).units;
        for (int i = 0; i < l; ++i) at += all * (Layer(call_, i).stride + 7 * Layer(call_, i).units);
        const Layer layer(call_, l);
        Buffers b;
        b.rows = at;
        b.cells = b.rows + all * layer.stride;
        b.tanhs = b.cells + all * layer.units;
        b.gates = {b.tanhs + rows(time_.steps) * layer.units, static_cast<ptrdiff_t>(all * GATES)};
        b.cell_gradients = b.gates.at + all * 4 * layer.units;
        return b;
    }

    GateGradients gates_of(const Buffers& b, int step) const {
        return {b.gates.at + rows(step) * GATES, b.gates.next_vector};
    }

    const float* record(int sample, const Chunk& chunk, int l) const {
        return call_.record + (first_sample_ + sample) * record_.sample + chunk.index * record_.chunk + l * record_.layer;
    }

    // At the end of a window: nothing comes from the one that follows.
    void clear(int l) const {
        const Layer layer(call_, l);
        const Buffers b = buffers(l);
        std::memset(b.gates.at, 0, rows(time_.steps + 1) * 4 * layer.units * sizeof(float));
        std::memset(b.cell_gradients, 0, rows(1) * layer.units * sizeof(float));
        for (size_t row = 0; row < rows(time_.steps + 1); ++row) b.rows[row * layer.stride + layer.one_at] = 1.0f;
    }

    void run(const Chunk& chunk) {
        load_input(chunk);
        const float* packed = packed_;
        float* sums = sums_;
        for (int l = 0; l < call_.layers; ++l) {
            const Layer layer(call_, l);
            for (int sample = 0; sample < samples_; ++sample) rebuild(l, layer, sample, chunk);
            packed += layer.packed_size();
            sums += layer.forward_size();
        }
        if (call_.head_weight) head(chunk, packed, sums);
        else take_hidden(chunk);
        for (int l = call_.layers - 1; l >= 0; --l) {
            const Layer layer(call_, l);
            const Buffers b = buffers(l);
            packed -= layer.packed_size();
            sums -= layer.forward_size();
            const float* recurrent = packed + layer.forward_size();
            for (int t = chunk.length - 1; t >= 0; --t) recurrence(l, layer, b, recurrent, chunk, t);
            add_weight_gradients(layer, b.gates, b.rows, static_cast<int>(rows(chunk.length)), sums);
            input_gradients(l, layer, b, recurrent + layer.recurrent_back_size(), chunk);
            for (int v = 0; v < layer.vectors; ++v)  // for the chunk before this one
                std::memcpy(gates_of(b, time_.steps).at + v * b.gates.next_vector, b.gates.at + v * b.gates.next_vector,
                            rows(1) * GATES * sizeof(float));
        }
    }

    void load_input(const Chunk& chunk) const {
        const Layer layer(call_, 0);
        float* to = buffers(0).rows + layer.input_at;
        for (int t = 0; t < chunk.length; ++t)
            for (int s = 0; s < samples_; ++s, to += layer.stride) {
                const float* x = call_.x + (first_sample_ + s) * call_.x_batch + (chunk.begin + t) * call_.x_step;
                for (int j = 0; j < layer.inputs; ++j) to[j] = x[j * call_.x_input];
            }
    }

    // Cells, their tanh and h, from the recorded gates and the state before the chunk.
    void rebuild(int l, const Layer& layer, int sample, const Chunk& chunk) const {
        const Buffers b = buffers(l);
        const bool last = l + 1 == call_.layers;
        const Layer above(call_, last ? l : l + 1);
        float* upper = last ? nullptr : buffers(l + 1).rows + above.input_at;
        const float* gates = record(sample, chunk, l);
        const float* state = gates + record_.gates;
        const ptrdiff_t earlier = chunk.index ? -static_cast<ptrdiff_t>(record_.chunk) : 0;  // the chunk that is next
        std::memcpy(b.cells + sample * layer.units, state, layer.units * sizeof(float));
        std::memcpy(b.rows + sample * layer.stride, state + layer.units, layer.units * sizeof(float));
        for (int t = 0; t < chunk.length; ++t) {
            const size_t row = rows(t) + sample, next = row + samples_;
            for (int v = 0; v < layer.vectors; ++v, gates += GATES) {
                for (int i = 0; i < GATES; i += CACHE_LINE) prefetch(gates + earlier + i);
                const vf before = load(b.cells + row * layer.units + v * W);
                const vf c = load(gates + W) * before + load(gates) * load(gates + 2 * W);
                const vf tanh_c = cell_tanh(c);
                const vf h = load(gates + 3 * W) * tanh_c;
                store(b.cells + next * layer.units + v * W, c);
                store(b.tanhs + row * layer.units + v * W, tanh_c);
                store(b.rows + next * layer.stride + v * W, h);
                if (upper) store(upper + row * above.stride + v * W, h);
            }
        }
    }

    // From the gradient of y: that of the head, and of the last layer's h.
    void head(const Chunk& chunk, const float* weight, float* sums) const {
        const Layer layer(call_, call_.layers - 1);
        const float* h = buffers(call_.layers - 1).rows + rows(1) * layer.stride;
        float* out = above();
        float bias = 0.0f;
        for (int t = 0; t < chunk.length; ++t)
            for (int s = 0; s < samples_; ++s, h += layer.stride, out += layer.units) {
                const int step = chunk.begin + t;
                const float dy =
                    step < call_.burn_in ? 0.0f
                                         : out_.y[static_cast<ptrdiff_t>(first_sample_ + s) * call_.steps + step];
                bias += dy;
                for (int v = 0; v < layer.vectors; ++v) {
                    store(sums + v * W, load(sums + v * W) + dy * load(h + v * W));
                    store(out + v * W, dy * load(weight + v * W));
                }
            }
        sums[layer.units] += bias;
    }

    // The same where y are the last layer's h.
    void take_hidden(const Chunk& chunk) const {
        const Layer layer(call_, call_.layers - 1);
        float* out = above();
        for (int t = 0; t < chunk.length; ++t)
            for (int s = 0; s < samples_; ++s, out += layer.units) {
                const ptrdiff_t row = static_cast<ptrdiff_t>(first_sample_ + s) * call_.steps + chunk.begin + t;
                std::memcpy(out, out_.y + row * layer.hidden, layer.hidden * sizeof(float));
                std::memset(out + layer.hidden, 0, (layer.units - layer.hidden) * sizeof(float));
            }
    }

    void recurrence(int l, const Layer& layer, const Buffers& b, const float* weights, const Chunk& chunk, int t) const {
        const float* recorded = record(0, chunk, l) + static_cast<size_t>(t) * 4 * layer.units;
        const auto step_back = [&](int sample, int v, vf dh) {
            const float* a = recorded + sample * record_.sample + v * GATES;
            const size_t row = rows(t) + sample, at = row * layer.units + v * W;
            const vf i = load(a), f = load(a + W), g = load(a + 2 * W), o = load(a + 3 * W);
            const vf tanh_c = load(b.tanhs + at), before = load(b.cells + at);
            float* carried = b.cell_gradients + sample * layer.units + v * W;
            dh += load(above() + at);
            const vf dho = dh * o;
            const vf dc = load(carried) + (dho - dho * tanh_c * tanh_c);
            store(carried, dc * f);
            float* to = b.gates.at + v * b.gates.next_vector + row * GATES;
            const vf dci = dc * i, dcf = dc * f;
            store(to, dci * g * (1.0f - i));
            store(to + W, dcf * before * (1.0f - f));
            store(to + 2 * W, dci - dci * g * g);
            store(to + 3 * W, dho * tanh_c * (1.0f - o));
        };
        back_product(layer, weights, layer.vectors, gates_of(b, t + 1), samples_, step_back);
    }

    // For the layer below, or for the caller.
    void input_gradients(int l, const Layer& layer, const Buffers& b, const float* weights, const Chunk& chunk) const {
        const int count = static_cast<int>(rows(chunk.length));
        if (l) {
            float* to = above();
            back_product(layer, weights, layer.vectors, b.gates, count, [&](int row, int v, vf value) {
                store(to + static_cast<size_t>(row) * layer.units + v * W, value);
            });
        } else if (out_.x) {
            back_product(layer, weights, layer.input_vectors(), b.gates, count, [&](int row, int v, vf value) {
                const int sample = first_sample_ + row % samples_, step = chunk.begin + row / samples_;
                float* to = out_.x + (static_cast<ptrdiff_t>(sample) * call_.steps + step) * layer.inputs + v * W;
                store_first(to, value, smaller(W, layer.inputs - v * W));
            });
        }
    }

    // Gradients of the state before the segment.
    void start_gradients(int l, const float* recurrent) const {
        const Layer layer(call_, l);
        const Buffers b = buffers(l);
        const auto at = [&](int sample, int v) {
            return (static_cast<ptrdiff_t>(l) * call_.batch + first_sample_ + sample) * layer.hidden + v * W;
        };
        back_product(layer, recurrent, layer.vectors, b.gates, samples_, [&](int sample, int v, vf value) {
            const int lanes = smaller(W, layer.hidden - v * W);
            store_first(out_.hidden_start + at(sample, v), value, lanes);
            store_first(out_.cell_start + at(sample, v), load(b.cell_gradients + sample * layer.units + v * W), lanes);
        });
    }

    const LstmCall& call_;
    const LstmGradients& out_;
    const float* packed_;
    const Time time_;
    const Record record_;
    float *sums_, *scratch_;
    int first_sample_, samples_, first_window_, last_window_;
};

}  // namespace

void lstm_backward(const LstmCall& call, const LstmGradients& gradients, const float* packed, int task, float* sums,
                   float* scratch) {
    Task(call, gradients, packed, task, sums, scratch).all();
}

}  // namespace nam::NAM_ISA
