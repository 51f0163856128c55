// The forward pass of an LSTM.
//
// A register block is one vector of units (all four gates) for the samples of one group: each column of the weights
// costs 4 loads of weights and one broadcast per sample, for 4 multiply-adds per sample. With two samples that
// is 6 loads for 8 multiply-adds, and 8 running sums are as many as a core needs in flight (latency 4, two per
// cycle). A group waits for its own previous step, so a task interleaves its groups.
#include "lstm_gates.h"
#include "lstm_layout.h"
#include "stream.h"

namespace nam::NAM_ISA {
namespace {

// One layer of one group, at the step in hand.
struct Step {
    const float* row;  // source rows of the group's samples, layer.stride apart
    float* h;          // where h of this step goes: the rows of the next step
    float* upper;      // … and the input of the next layer, upper_stride apart; null for the last layer
    ptrdiff_t upper_stride;
    float* cell;   // [sample][units]
    float* gates;  // [sample][vector][gate][W], or null
};

// Adds columns of the weights times sources, for P vectors of units.
template <int S, int P>
NAM_INLINE void add_columns(const Layer& layer, const float* weights, const float* sources, int count,
                            vf (&acc)[P][4][S]) {
    const ptrdiff_t next_vector = static_cast<ptrdiff_t>(layer.columns) * GATES, next_sample = layer.stride;
    for (int j = 0; j < count; ++j, weights += GATES) {
        vf source[S];
        for (int s = 0; s < S; ++s) source[s] = splat(sources[s * next_sample + j]);
        for (int p = 0; p < P; ++p)
            for (int gate = 0; gate < 4; ++gate) {
                const vf w = load(weights + p * next_vector + gate * W);
                for (int s = 0; s < S; ++s) acc[p][gate][s] += w * source[s];
            }
    }
}

template <int S, int P>
NAM_INLINE void matrix_product(const Layer& layer, const float* weights, const float* row, vf (&acc)[P][4][S]) {
    const float* bias = weights + layer.inputs * GATES;
    for (int p = 0; p < P; ++p)
        for (int gate = 0; gate < 4; ++gate) {
            const vf start = load(bias + static_cast<ptrdiff_t>(p) * layer.columns * GATES + gate * W);
            for (int s = 0; s < S; ++s) acc[p][gate][s] = start;
        }
    add_columns<S, P>(layer, weights, row + layer.input_at, layer.inputs, acc);
    add_columns<S, P>(layer, bias + GATES, row, layer.hidden, acc);
}

template <int S, int P>
NAM_INLINE void units(const Layer& layer, const float* weights, const Step& step, int v) {
    vf acc[P][4][S];
    matrix_product<S, P>(layer, weights, step.row, acc);
    for (int p = 0; p < P; ++p)
        for (int s = 0; s < S; ++s) {
            const Gates a = activate(acc[p][0][s], acc[p][1][s], acc[p][2][s], acc[p][3][s]);
            const int at = (v + p) * W;
            float* cell = step.cell + s * layer.units + at;
            const vf c = a.f * load(cell) + a.i * a.g;
            const vf h = a.o * cell_tanh(c);
            store(cell, c);
            store(step.h + s * layer.stride + at, h);
            if (step.upper) store(step.upper + s * step.upper_stride + at, h);
            if (step.gates) {
                float* gates = step.gates + (s * layer.vectors + v + p) * GATES;
                stream(gates, a.i);
                stream(gates + W, a.f);
                stream(gates + 2 * W, a.g);
                stream(gates + 3 * W, a.o);
            }
        }
}

// A single sample has four running sums only: two vectors of units at a time keep the core busy.
template <int S>
void run_step(const Layer& layer, const float* weights, const Step& step) {
    const ptrdiff_t next_vector = static_cast<ptrdiff_t>(layer.columns) * GATES;
    int v = 0;
    if constexpr (S == 1) {
        for (; v + 2 <= layer.vectors; v += 2) units<S, 2>(layer, weights + v * next_vector, step, v);
    }
    for (; v < layer.vectors; ++v) units<S, 1>(layer, weights + v * next_vector, step, v);
}

void run_step(int samples, const Layer& layer, const float* weights, const Step& step) {
    switch (samples) {
        case 1: run_step<1>(layer, weights, step); break;
        case 2: run_step<2>(layer, weights, step); break;
        default:
            if constexpr (GROUP > 2) {
                if (samples == 3) run_step<3>(layer, weights, step);
                else run_step<4>(layer, weights, step);
            }
    }
}

// A group's memory: source rows and cells of each layer, one after the other.
struct Group {
    int number, samples;
    float* memory;

    float* rows(const LstmCall& call, const Time& time, int layer) const {
        float* at = memory;
        for (int l = 0; l < layer; ++l) at += size(Layer(call, l), time);
        return at;
    }
    static size_t size(const Layer& layer, const Time& time) {
        return static_cast<size_t>(GROUP) * ((time.steps + 1) * layer.stride + layer.units);
    }
    static size_t cell_at(const Layer& layer, const Time& time) {
        return static_cast<size_t>(GROUP) * (time.steps + 1) * layer.stride;
    }
};

class Run {
public:
    Run(const LstmCall& call, const float* packed, int first, int last, float* scratch)
        : call_(call), packed_(packed), time_(call), record_(call), first_(first), last_(last), scratch_(scratch) {
        for (int l = 0; l < call.layers; ++l) group_size_ += Group::size(Layer(call, l), time_);
    }

    void all() {
        std::memset(scratch_, 0, group_size_ * (last_ - first_) * sizeof(float));
        for (int g = first_; g < last_; ++g) begin(group(g));
        for (int window = 0; window < time_.windows; ++window)
            for (int number = 0; number < time_.chunks_of(window); ++number) run(time_.chunk(window, number));
        if (call_.hidden_end)
            for (int g = first_; g < last_; ++g) end(group(g));
        end_stream();
    }

private:
    Group group(int g) const { return {g, samples_of(call_, g), scratch_ + (g - first_) * group_size_}; }

    void begin(const Group& group) const {
        for (int l = 0; l < call_.layers; ++l) {
            const Layer layer(call_, l);
            float* rows = group.rows(call_, time_, l);
            float* cell = rows + Group::cell_at(layer, time_);
            for (int s = 0; s < group.samples; ++s) {
                const ptrdiff_t from = l * call_.start_layer + (group.number * GROUP + s) * call_.start_batch;
                std::memcpy(rows + s * layer.stride, call_.hidden_start + from, layer.hidden * sizeof(float));
                std::memcpy(cell + s * layer.units, call_.cell_start + from, layer.hidden * sizeof(float));
            }
        }
    }

    void end(const Group& group) const {
        for (int l = 0; l < call_.layers; ++l) {
            const Layer layer(call_, l);
            const float* rows = group.rows(call_, time_, l);
            const float* cell = rows + Group::cell_at(layer, time_);
            for (int s = 0; s < group.samples; ++s) {
                const ptrdiff_t to =
                    (static_cast<ptrdiff_t>(l) * call_.batch + group.number * GROUP + s) * layer.hidden;
                std::memcpy(call_.hidden_end + to, rows + s * layer.stride, layer.hidden * sizeof(float));
                std::memcpy(call_.cell_end + to, cell + s * layer.units, layer.hidden * sizeof(float));
            }
        }
    }

    void run(const Chunk& chunk) const {
        for (int g = first_; g < last_; ++g) load_input(group(g), chunk);
        const float* weights = packed_;
        for (int l = 0; l < call_.layers; ++l) {
            const Layer layer(call_, l);
            run_layer(l, layer, weights, chunk);
            weights += layer.packed_size();
        }
        for (int g = first_; g < last_; ++g) {
            head(group(g), chunk, weights);
            carry(group(g), chunk);
        }
    }

    void load_input(const Group& group, const Chunk& chunk) const {
        const Layer layer(call_, 0);
        float* row = group.rows(call_, time_, 0) + layer.input_at;
        for (int t = 0; t < chunk.length; ++t)
            for (int s = 0; s < group.samples; ++s) {
                const float* x = call_.x + (group.number * GROUP + s) * call_.x_batch + (chunk.begin + t) * call_.x_step;
                for (int j = 0; j < layer.inputs; ++j)
                    row[(t * GROUP + s) * layer.stride + j] = x[j * call_.x_input];
            }
    }

    void run_layer(int l, const Layer& layer, const float* weights, const Chunk& chunk) const {
        for (int g = first_; g < last_; ++g) {
            const Group group = this->group(g);
            if (float* record = recorded(group, chunk, l)) save_state(layer, group, l, record + record_.gates);
        }
        const Layer above(call_, l + 1);
        const bool last = l + 1 == call_.layers;
        const size_t rows_at = group(first_).rows(call_, time_, l) - scratch_;
        for (int t = 0; t < chunk.length; ++t)
            for (int g = first_; g < last_; ++g) {
                const Group group = this->group(g);
                float* rows = group.memory + rows_at;
                float* record = recorded(group, chunk, l);
                const ptrdiff_t row_step = static_cast<ptrdiff_t>(GROUP) * layer.stride;
                Step step;
                step.row = rows + t * row_step;
                step.h = rows + (t + 1) * row_step;
                step.upper = last ? nullptr
                                  : rows + Group::size(layer, time_) + t * GROUP * above.stride + above.input_at;
                step.upper_stride = above.stride;
                step.cell = rows + Group::cell_at(layer, time_);
                step.gates = record ? record + static_cast<size_t>(t) * GROUP * 4 * layer.units : nullptr;
                run_step(group.samples, layer, weights, step);
            }
    }

    float* recorded(const Group& group, const Chunk& chunk, int l) const {
        if (!call_.record) return nullptr;
        return call_.record + group.number * record_.group + chunk.index * record_.chunk + l * record_.layer;
    }

    void save_state(const Layer& layer, const Group& group, int l, float* to) const {
        const float* rows = group.rows(call_, time_, l);
        const float* cell = rows + Group::cell_at(layer, time_);
        for (int s = 0; s < group.samples; ++s, to += 2 * layer.units) {
            std::memcpy(to, cell + s * layer.units, layer.units * sizeof(float));
            std::memcpy(to + layer.units, rows + s * layer.stride, layer.units * sizeof(float));
        }
    }

    void head(const Group& group, const Chunk& chunk, const float* weight) const {
        const Layer layer(call_, call_.layers - 1);
        const float* rows = group.rows(call_, time_, call_.layers - 1) + GROUP * layer.stride;
        const float bias = call_.head_bias ? call_.head_bias[0] : 0.0f;
        for (int s = 0; s < group.samples; ++s) {
            float* y = call_.y + static_cast<ptrdiff_t>(group.number * GROUP + s) * call_.steps + chunk.begin;
            for (int t = 0; t < chunk.length; ++t) {
                const float* h = rows + (t * GROUP + s) * layer.stride;
                vf product = load(h) * load(weight);
                for (int v = 1; v < layer.vectors; ++v) product += load(h + v * W) * load(weight + v * W);
                y[t] = sum(product) + bias;
            }
        }
    }

    // The last h is the first source of the next chunk.
    void carry(const Group& group, const Chunk& chunk) const {
        for (int l = 0; l < call_.layers; ++l) {
            const Layer layer(call_, l);
            float* rows = group.rows(call_, time_, l);
            for (int s = 0; s < group.samples; ++s)
                std::memcpy(rows + s * layer.stride, rows + (chunk.length * GROUP + s) * layer.stride,
                            layer.units * sizeof(float));
        }
    }

    const LstmCall& call_;
    const float* packed_;
    const Time time_;
    const Record record_;
    const int first_, last_;
    float* scratch_;
    size_t group_size_ = 0;
};

}  // namespace

void lstm_forward(const LstmCall& call, const float* packed, int first, int last, float* scratch) {
    Run(call, packed, first, last, scratch).all();
}

}  // namespace nam::NAM_ISA
