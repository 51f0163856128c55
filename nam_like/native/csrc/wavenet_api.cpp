// What Python calls to train and play WaveNets: one call for a whole batch.
#include <algorithm>
#include <cstring>

#include "api.h"
#include "memory.h"
#include "threads.h"
#include "wavenet_plan.h"
#include "wavenet_stages.h"

namespace nam {
namespace {

struct Call {
    const WaveNet& net;
    const float* weights;
    const float* packed;
    ptrdiff_t batch, length;
    int threads;
};

size_t sample_floats(const WaveNet& net, ptrdiff_t length) {
    return static_cast<size_t>(net.rows) * row_stride(length, 0);
}

struct Signals {
    const float* input;
    const float* condition;
    float* output;
};

// One item, or what lies `start` samples after it, `length` samples long.
ForwardItem item_at(const Call& call, const Signals& signals, ptrdiff_t sample, ptrdiff_t start, ptrdiff_t length) {
    const WaveNet& net = call.net;
    const ptrdiff_t made = call.length - net.first;
    const int heads = net.array[net.arrays - 1].heads;
    return {signals.input + sample * net.inputs * call.length + start,
            signals.condition ? signals.condition + sample * net.conditions * call.length + start : nullptr,
            call.length,
            length,
            signals.output + sample * heads * made + start,
            made,
            nullptr,
            nullptr};
}

// Training: each sample keeps its rows for the backward pass.
void forward_kept(const Call& call, const Signals& signals, float* kept, float* scratch, const Stages& stages) {
    const WaveNet& net = call.net;
    const Chunks chunks{call.length, stages.count() > 1 ? TILE : call.length};
    run_stages(stages, call.threads, static_cast<int>(call.batch), chunks.count(), [&](const Turn& turn) {
        ForwardItem item = item_at(call, signals, turn.item, 0, call.length);
        item.rows = kept + turn.item * sample_floats(net, call.length);
        item.scratch = scratch + turn.worker * wavenet_scratch(net);
        NAM_CALL(wavenet_forward)
        (net, call.weights, call.packed, item, stages.span[turn.stage], chunks.from(turn.chunk),
         chunks.to(turn.chunk));
    });
}

// Samples of output that are played at once when nothing is kept: enough that the past samples which each piece
// repeats are a small part, and no more, because the rows should stay in the cache.
ptrdiff_t piece_length(const WaveNet& net) { return std::max<ptrdiff_t>(8192, 3 * net.first); }

void forward_pieces(const Call& call, const Signals& signals, float* rows, float* scratch) {
    const WaveNet& net = call.net;
    const ptrdiff_t made = call.length - net.first, piece = piece_length(net);
    const ptrdiff_t pieces = (made + piece - 1) / piece;
    const size_t rows_each = sample_floats(net, std::min(piece + net.first, call.length));
    parallel_for(call.threads, static_cast<int>(call.batch * pieces), [&](int task, int worker) {
        const ptrdiff_t start = task % pieces * piece;
        ForwardItem item =
            item_at(call, signals, task / pieces, start, std::min(piece, made - start) + net.first);
        item.rows = rows + worker * rows_each;
        item.scratch = scratch + worker * wavenet_scratch(net);
        NAM_CALL(wavenet_forward)
        (net, call.weights, call.packed, item, {0, net.parts}, 0, item.length);
    });
}

struct Gradients {
    const float* output;
    float *weights, *input, *condition;  // weights: of each item
};

// Items that several threads work on have more rows, but there are few of them: two at a time for each group of
// threads.
struct BackwardMemory {
    bool apart;
    size_t tables_each, scratch_each;
    BackwardMemory(const Call& call, const Stages& stages)
        : apart(stages.count() > 1),
          tables_each(wavenet_backward_tables(call.net, call.length, apart)),
          scratch_each(wavenet_scratch(call.net)) {}
};

// Samples that a stage of the backward pass takes at once: a layer's running sums come to the cache once per chunk, and
// short signals should have some chunks.
constexpr ptrdiff_t BACKWARD_CHUNK = 4 * TILE;

void backward(const Call& call, const Gradients& gradients, const float* kept, float* tables, float* scratch,
              const Stages& stages) {
    const WaveNet& net = call.net;
    const BackwardMemory memory(call, stages);
    const int heads = net.array[net.arrays - 1].heads, last = stages.count() - 1;
    const Chunks chunks{call.length, memory.apart ? BACKWARD_CHUNK : call.length};
    run_stages(stages, call.threads, static_cast<int>(call.batch), chunks.count(), [&](const Turn& turn) {
        const ptrdiff_t sample = turn.item;
        const BackwardItem item{
            gradients.output + sample * heads * (call.length - net.first),
            call.length,
            kept + sample * sample_floats(net, call.length),
            gradients.weights + sample * net.weights,
            gradients.input ? gradients.input + sample * net.inputs * call.length : nullptr,
            gradients.condition ? gradients.condition + sample * net.conditions * call.length : nullptr,
            memory.apart,
            tables + turn.slot * memory.tables_each,
            scratch + turn.worker * memory.scratch_each};
        const int chunk = chunks.count() - 1 - turn.chunk;
        NAM_CALL(wavenet_backward)
        (net, call.weights, call.packed, item, stages.span[last - turn.stage], chunks.from(chunk), chunks.to(chunk));
    });
}

}  // namespace
}  // namespace nam

using nam::WaveNetPlan;

// A plan of a net; null if it is not within the limits of wavenet.h.
NAM_API void* nam_wavenet_create(const int64_t* integers, int64_t integer_count, const double* reals,
                                 int64_t real_count) {
    return nam::plan_wavenet(integers, integer_count, reals, real_count).release();
}

NAM_API void nam_wavenet_destroy(void* plan) { delete static_cast<WaveNetPlan*>(plan); }

// Number of weights, and past samples that the output needs, so that Python can check that both count alike.
NAM_API int64_t nam_wavenet_weights(const void* plan) { return static_cast<const WaveNetPlan*>(plan)->net.weights; }
NAM_API int64_t nam_wavenet_past(const void* plan) { return static_cast<const WaveNetPlan*>(plan)->net.first; }

// Gets what the forward pass of such batches keeps from the system, ahead of time and in whatever thread; 0, or −1 where
// the system cannot. The plan must live until it returns.
NAM_API int nam_wavenet_reserve(const void* handle, int64_t batch, int64_t length) {
    const nam::WaveNet& net = static_cast<const WaveNetPlan*>(handle)->net;
    return nam::reserve_buffer(batch * nam::sample_floats(net, length)) ? 0 : -1;
}

// input (batch, inputs, length), condition (batch, conditions, length) or null → output (batch, heads, length − past).
// With `kept`, a buffer for the backward pass is made, to be given back with nam_give_buffer. 0, or −1 when there is
// no memory.
NAM_API int nam_wavenet_forward(const void* handle, const float* weights, const float* input, const float* condition,
                                int64_t batch, int64_t length, float* output, float** kept, int threads) {
    const nam::WaveNet& net = static_cast<const WaveNetPlan*>(handle)->net;
    threads = nam::available_threads(threads);
    const nam::HeldBuffer packed(net.packed), scratch(threads * nam::wavenet_scratch(net));
    if (!packed.data() || !scratch.data()) return -1;
    NAM_CALL(wavenet_pack)(net, weights, packed.data());
    const nam::Call call{net, weights, packed.data(), batch, length, threads};
    const nam::Signals signals{input, condition, output};
    if (kept) {
        *kept = nam::take_buffer(batch * nam::sample_floats(net, length));
        if (!*kept) return -1;
        nam::forward_kept(call, signals, *kept, scratch.data(), nam::divide(net, batch, length, threads));
        return 0;
    }
    const ptrdiff_t longest = std::min<ptrdiff_t>(nam::piece_length(net) + net.first, length);
    const nam::HeldBuffer rows(threads * nam::sample_floats(net, longest));
    if (!rows.data()) return -1;
    nam::forward_pieces(call, signals, rows.data(), scratch.data());
    return 0;
}

// output_gradient (batch, heads, length − past) → weight_gradients (weights), and input_gradient and
// condition_gradient in the shapes of the inputs, or null. The sum over the batch is taken in its order, so the
// result does not depend on the number of threads.
NAM_API int nam_wavenet_backward(const void* handle, const float* weights, const float* output_gradient, int64_t batch,
                                 int64_t length, const float* kept, float* weight_gradients, float* input_gradient,
                                 float* condition_gradient, int threads) {
    const nam::WaveNet& net = static_cast<const WaveNetPlan*>(handle)->net;
    threads = nam::available_threads(threads);
    const nam::Stages stages = nam::divide(net, batch, length, threads);
    const nam::HeldBuffer packed(net.packed), each(batch * net.weights);
    const nam::Call call{net, weights, packed.data(), batch, length, threads};
    const nam::BackwardMemory memory(call, stages);
    const nam::HeldBuffer tables(stages.slots(threads) * memory.tables_each), scratch(threads * memory.scratch_each);
    if (!packed.data() || !each.data() || !tables.data() || !scratch.data()) return -1;
    NAM_CALL(wavenet_pack)(net, weights, packed.data());
    nam::backward(call, {output_gradient, each.data(), input_gradient, condition_gradient}, kept, tables.data(),
                  scratch.data(), stages);
    std::memset(weight_gradients, 0, static_cast<size_t>(net.weights) * sizeof(float));
    for (int64_t sample = 0; sample < batch; ++sample)
        for (ptrdiff_t i = 0; i < net.weights; ++i) weight_gradients[i] += each.data()[sample * net.weights + i];
    return 0;
}
