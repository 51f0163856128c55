// What Python calls to train and play WaveNets: one call for a whole batch.
#include <algorithm>
#include <cstring>

#include "api.h"
#include "memory.h"
#include "threads.h"
#include "wavenet_plan.h"

namespace nam {
namespace {

// A buffer for the duration of a call.
class Scratch {
public:
    explicit Scratch(size_t floats) : memory_(take_buffer(floats)) {}
    ~Scratch() { give_buffer(memory_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    float* get() const { return memory_; }

private:
    float* memory_;
};

struct Call {
    const WaveNetPlan& plan;
    const float* weights;
    const float* packed;
    const float* input;
    const float* condition;
    ptrdiff_t batch, length;
    int threads;
};

size_t sample_floats(const WaveNet& net, ptrdiff_t length) {
    return static_cast<size_t>(net.rows) * row_stride(length, 0);
}

// Training: each sample keeps its rows for the backward pass.
void forward_kept(const Call& call, float* output, float* kept, float* scratch) {
    const WaveNet& net = call.plan.net;
    const ptrdiff_t length = call.length, made = length - net.first;
    const int heads = net.array[net.arrays - 1].heads;
    parallel_for(call.threads, static_cast<int>(call.batch), [&](int sample, int worker) {
        NAM_CALL(wavenet_forward)
        (net, call.weights, call.packed, call.input + ptrdiff_t{sample} * net.inputs * length,
         call.condition ? call.condition + ptrdiff_t{sample} * net.conditions * length : nullptr, length, length,
         output + ptrdiff_t{sample} * heads * made, made, kept + sample * sample_floats(net, length),
         scratch + worker * wavenet_forward_scratch(net));
    });
}

// Samples of output that are played at once when nothing is kept: enough that the past samples which each piece
// repeats are a small part, and no more, because the rows should stay in the cache.
ptrdiff_t piece_length(const WaveNet& net) { return std::max<ptrdiff_t>(8192, 3 * net.first); }

void forward_pieces(const Call& call, float* output, float* rows, float* scratch) {
    const WaveNet& net = call.plan.net;
    const ptrdiff_t length = call.length, made = length - net.first, piece = piece_length(net);
    const int heads = net.array[net.arrays - 1].heads;
    const ptrdiff_t pieces = (made + piece - 1) / piece;
    const size_t rows_each = sample_floats(net, std::min(piece + net.first, length));
    parallel_for(call.threads, static_cast<int>(call.batch * pieces), [&](int task, int worker) {
        const ptrdiff_t sample = task / pieces, start = task % pieces * piece;
        const ptrdiff_t n = std::min(piece, made - start);
        NAM_CALL(wavenet_forward)
        (net, call.weights, call.packed, call.input + sample * net.inputs * length + start,
         call.condition ? call.condition + sample * net.conditions * length + start : nullptr, length,
         n + net.first, output + sample * heads * made + start, made, rows + worker * rows_each,
         scratch + worker * wavenet_forward_scratch(net));
    });
}

}  // namespace
}  // namespace nam

using nam::Scratch;
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
    const WaveNetPlan& plan = *static_cast<const WaveNetPlan*>(handle);
    const nam::WaveNet& net = plan.net;
    threads = std::max(threads, 1);
    const Scratch packed(net.packed);
    const Scratch scratch(threads * nam::wavenet_forward_scratch(net));
    if (!packed.get() || !scratch.get()) return -1;
    NAM_CALL(wavenet_pack)(net, weights, packed.get());
    const nam::Call call{plan, weights, packed.get(), input, condition, batch, length, threads};
    if (kept) {
        *kept = nam::take_buffer(batch * nam::sample_floats(net, length));
        if (!*kept) return -1;
        nam::forward_kept(call, output, *kept, scratch.get());
        return 0;
    }
    const ptrdiff_t longest = std::min<ptrdiff_t>(nam::piece_length(net) + net.first, length);
    const Scratch rows(threads * nam::sample_floats(net, longest));
    if (!rows.get()) return -1;
    nam::forward_pieces(call, output, rows.get(), scratch.get());
    return 0;
}

// output_gradient (batch, heads, length − past) → weight_gradients (weights), and input_gradient and
// condition_gradient in the shapes of the inputs, or null. The sum over the batch is taken in its order, so the
// result does not depend on the number of threads.
NAM_API int nam_wavenet_backward(const void* handle, const float* weights, const float* output_gradient, int64_t batch,
                                 int64_t length, const float* kept, float* weight_gradients, float* input_gradient,
                                 float* condition_gradient, int threads) {
    const nam::WaveNet& net = static_cast<const WaveNetPlan*>(handle)->net;
    threads = std::max(threads, 1);
    const int heads = net.array[net.arrays - 1].heads;
    const ptrdiff_t made = length - net.first;
    const size_t scratch_each = nam::wavenet_backward_scratch(net, length, 6);
    const Scratch packed(net.packed), scratch(threads * scratch_each), each(batch * net.weights);
    if (!packed.get() || !scratch.get() || !each.get()) return -1;
    NAM_CALL(wavenet_pack)(net, weights, packed.get());
    nam::parallel_for(threads, static_cast<int>(batch), [&](int sample, int worker) {
        NAM_CALL(wavenet_backward)
        (net, weights, packed.get(), output_gradient + ptrdiff_t{sample} * heads * made, length,
         kept + sample * nam::sample_floats(net, length), each.get() + sample * net.weights,
         input_gradient ? input_gradient + ptrdiff_t{sample} * net.inputs * length : nullptr,
         condition_gradient ? condition_gradient + ptrdiff_t{sample} * net.conditions * length : nullptr,
         scratch.get() + worker * scratch_each);
    });
    std::memset(weight_gradients, 0, static_cast<size_t>(net.weights) * sizeof(float));
    for (int64_t sample = 0; sample < batch; ++sample)
        for (ptrdiff_t i = 0; i < net.weights; ++i) weight_gradients[i] += each.get()[sample * net.weights + i];
    return 0;
}
