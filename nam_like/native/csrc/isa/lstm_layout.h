// Where an LSTM's numbers lie in memory.
//
// Hidden units run along the vector lanes, in vectors of W units (the last one is filled up with units that stay
// zero, because their weights are). So weights are loaded as whole vectors and activations are broadcast: a batch
// of any size fills the lanes, samples are independent of each other, and a weight gradient is a sum over samples
// and steps that never leaves its lanes.
//
// A source row holds what one step of one layer multiplies with its weights: [h of the step before | input | 1],
// the 1 being for the bias. The columns of the weights are ordered: input, bias, h.
#pragma once
#include "../lstm.h"
#include "vec.h"

namespace nam::NAM_ISA {

inline constexpr int LONGEST_CHUNK = 16;
// Samples that a task of the backward pass handles together, and about how many tasks there are.
inline constexpr int TASK_SAMPLES = 8;
inline constexpr int FEWEST_TASKS = 4, MOST_TASKS = 48;

NAM_INLINE int divide_up(int a, int b) { return (a + b - 1) / b; }
NAM_INLINE int round_up(int a, int b) { return divide_up(a, b) * b; }
NAM_INLINE int smaller(int a, int b) { return a < b ? a : b; }

// Keeps the compiler from reading a vector from memory again for each use: a core reads two vectors per cycle, and the
// inner loops need both for other things.
NAM_INLINE vf in_register(vf v) {
#if defined(NAM_VECTOR_WIDTH)
#elif defined(__AVX512F__)
    asm("" : "+v"(v));
#elif defined(__AVX__)
    asm("" : "+x"(v));
#endif
    return v;
}

// One gate's W units of all four gates lie together: [i | f | g | o].
inline constexpr int GATES = 4 * W;

struct Layer {
    int inputs, hidden;
    int vectors;  // of units
    int units;    // with the filling
    int input_at, one_at, stride;  // of a source row
    int columns;                   // inputs + 1 + hidden

    NAM_INLINE Layer(const LstmCall& call, int index)
        : inputs(index ? call.hidden : call.inputs),
          hidden(call.hidden),
          vectors(divide_up(hidden, W)),
          units(vectors * W),
          input_at(units),
          one_at(input_at + (index ? units : inputs)),
          stride(round_up(one_at + 1, W)),
          columns(inputs + 1 + hidden) {}

    NAM_INLINE int place(int column) const {  // of a column in a source row
        return column < inputs ? input_at + column : column == inputs ? one_at : column - inputs - 1;
    }
    // Weights (times gate_factor) and their gradients: [vector of units][column][gate][W].
    NAM_INLINE size_t forward_size() const { return static_cast<size_t>(vectors) * columns * GATES; }
    // Transposed, rows are gates in the order [vector of units][gate][W]: [block of vectors][row][vector][W].
    NAM_INLINE size_t recurrent_back_size() const { return static_cast<size_t>(vectors) * GATES * units; }
    NAM_INLINE int input_vectors() const { return divide_up(inputs, W); }
    NAM_INLINE size_t input_back_size() const {
        return static_cast<size_t>(vectors) * GATES * input_vectors() * W;
    }
    NAM_INLINE size_t packed_size() const { return forward_size() + recurrent_back_size() + input_back_size(); }
};

// Vectors of the next block of a transposed matrix, when `left` are left.
NAM_INLINE int next_vectors(int left) { return left >= 4 ? 4 : left; }

struct Chunk {
    int index;  // among all chunks of the segment
    int begin, length;
};

// How time is cut.
struct Time {
    int first, each, windows;  // steps of the first window and of the later ones; the last may be shorter
    int steps;                 // of a chunk; the last one of a window may be shorter
    int total;

    NAM_INLINE explicit Time(const LstmCall& call) {
        total = call.steps;
        each = call.truncate > 0 ? call.truncate : total;
        first = call.truncate > 0 ? smaller(total, call.burn_in + each) : total;
        windows = 1 + divide_up(total - first, each);
        const int usual = smaller(each, total);
        steps = divide_up(usual, divide_up(usual, LONGEST_CHUNK));
    }
    NAM_INLINE int window_begin(int window) const { return window ? first + (window - 1) * each : 0; }
    NAM_INLINE int window_end(int window) const { return smaller(total, first + window * each); }
    NAM_INLINE int chunks_of(int window) const {
        return divide_up(window_end(window) - window_begin(window), steps);
    }
    NAM_INLINE int chunks() const {
        return windows == 1 ? chunks_of(0)
                            : chunks_of(0) + (windows - 2) * divide_up(each, steps) + chunks_of(windows - 1);
    }
    NAM_INLINE Chunk chunk(int window, int number) const {
        const int before = window ? chunks_of(0) + (window - 1) * divide_up(each, steps) : 0;
        const int begin = window_begin(window) + number * steps;
        return {before + number, begin, smaller(steps, window_end(window) - begin)};
    }
};

// The record: for each sample, each chunk and each layer the gates of every step, [step][vector][gate][W], and the
// state before its first step, [c, h][units].
struct Record {
    size_t gates, layer, chunk, sample;  // sizes in floats

    NAM_INLINE explicit Record(const LstmCall& call) {
        const Layer any(call, 0);
        const Time time(call);
        gates = static_cast<size_t>(time.steps) * 4 * any.units;
        layer = gates + 2 * any.units;
        chunk = layer * call.layers;
        sample = chunk * time.chunks();
    }
};

// How the backward pass is divided: a task is some samples in some windows. The first window, being the longest,
// comes first, with tasks of its own.
struct Tasks {
    int samples;  // of a task
    int ranges;   // of samples
    int windows;  // of a task after the first window
    int count;

    NAM_INLINE explicit Tasks(const LstmCall& call) {
        const int later = Time(call).windows - 1;
        samples = TASK_SAMPLES;
        while (samples > 1 && divide_up(call.batch, samples) * (1 + later) < FEWEST_TASKS) samples /= 2;
        ranges = divide_up(call.batch, samples);
        windows = later ? divide_up(later * ranges, MOST_TASKS) : 1;
        count = ranges * (1 + divide_up(later, windows));
    }
};

}  // namespace nam::NAM_ISA
