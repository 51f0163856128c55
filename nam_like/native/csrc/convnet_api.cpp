// What Python calls to train and play ConvNets: one call for a whole batch.
#include <algorithm>
#include <cstring>
#include <vector>

#include "api.h"
#include "convnet_norm.h"
#include "convnet_plan.h"
#include "memory.h"
#include "threads.h"

namespace nam {
namespace {

struct Batch {
    const ConvNet& net;
    const float* weights;
    ptrdiff_t size, length;
    Statistics statistics;
    bool normalises;     // with statistics of this batch, so that layers wait for each other
    int threads;

    size_t sample_floats() const { return static_cast<size_t>(net.stored_rows) * row_stride(length, 0); }
    ptrdiff_t made() const { return length - net.first; }
    ptrdiff_t outputs() const { return net.layer[net.layers - 1].outputs; }
    ptrdiff_t in_layer(const ConvNetLayer& layer) const { return length - layer.end; }  // samples of its z
};

std::vector<Normal> known_normals(const Batch& batch) {
    std::vector<Normal> normals(batch.net.rows);
    for (int l = 0; l < batch.net.layers; ++l)
        set_normals(batch.net.layer[l], batch.weights, batch.statistics, normals.data());
    return normals;
}

// Every second layer takes the samples in reverse: what was written last is still in the cache.
ptrdiff_t in_turn(int index, int layer, ptrdiff_t samples) { return layer % 2 ? samples - 1 - index : index; }

// Statistics of the batch: layer by layer, all samples in each.
void forward_by_layers(const Batch& batch, const std::vector<ConvNetForward>& calls, Normal* normals,
                       const Moments* moments) {
    const ConvNet& net = batch.net;
    for (int l = 0; l < net.layers; ++l) {
        const ConvNetLayer& layer = net.layer[l];
        parallel_for(batch.threads, static_cast<int>(batch.size), [&](int index, int worker) {
            ConvNetForward call = calls[in_turn(index, l, batch.size)];
            call.scratch += worker * convnet_forward_scratch(net, batch.length);
            NAM_CALL(convnet_forward)(call, l, l + 1);
        });
        if (!layer.norm) continue;
        gather_moments(layer, moments, net.rows, batch.size, batch.in_layer(layer), batch.statistics);
        set_normals(layer, batch.weights, batch.statistics, normals);
    }
}

// Nothing but weights is common to the samples: sample by sample, all layers in each.
void forward_by_samples(const Batch& batch, const std::vector<ConvNetForward>& calls) {
    const ConvNet& net = batch.net;
    parallel_for(batch.threads, static_cast<int>(calls.size()), [&](int index, int worker) {
        ConvNetForward call = calls[index];
        call.scratch += worker * convnet_forward_scratch(net, call.length);
        if (call.finishes || net.keeps_outputs) return NAM_CALL(convnet_forward)(call, 0, net.layers);
        for (int l = 0; l < net.layers; ++l) NAM_CALL(convnet_forward)(call, l, l + 1);
    });
}

// Training, or statistics of the batch: all rows of all samples are stored.
bool forward_stored(const Batch& batch, const float* packed, const float* input, float* output, float* rows) {
    const ConvNet& net = batch.net;
    const HeldBuffer scratch(batch.threads * convnet_forward_scratch(net, batch.length));
    if (!scratch.data()) return false;
    std::vector<Normal> normals = known_normals(batch);
    std::vector<Moments> moments(batch.normalises ? batch.size * net.rows : 0);
    std::vector<ConvNetForward> calls;
    for (ptrdiff_t sample = 0; sample < batch.size; ++sample)
        calls.push_back({net, batch.weights, packed, normals.data(), false, input + sample * net.inputs * batch.length,
                         batch.length, batch.length, output + sample * batch.outputs() * batch.made(), batch.made(),
                         rows + sample * batch.sample_floats(),
                         batch.normalises ? &moments[sample * net.rows] : nullptr, scratch.data()});
    if (batch.normalises) forward_by_layers(batch, calls, normals.data(), moments.data());
    else forward_by_samples(batch, calls);
    return true;
}

// Nothing is kept, so the signals are played in pieces, whose rows stay in the cache; a piece repeats the past
// samples that it needs, so it must not be too short.
bool forward_pieces(const Batch& batch, const float* packed, const float* input, float* output) {
    const ConvNet& net = batch.net;
    const ptrdiff_t piece = std::max<ptrdiff_t>(8192, 3 * net.first), made = batch.made();
    Batch largest = batch;
    largest.length = std::min(batch.length, piece + net.first);
    const HeldBuffer scratch(batch.threads * convnet_forward_scratch(net, largest.length));
    const HeldBuffer rows(batch.threads * largest.sample_floats());
    if (!scratch.data() || !rows.data()) return false;
    const std::vector<Normal> normals = known_normals(batch);
    const ptrdiff_t pieces = (made + piece - 1) / piece;
    parallel_for(batch.threads, static_cast<int>(batch.size * pieces), [&](int task, int worker) {
        const ptrdiff_t sample = task / pieces, start = task % pieces * piece;
        const ptrdiff_t length = std::min(piece, made - start) + net.first;
        const ConvNetForward call{net, batch.weights, packed, normals.data(), true,
                                  input + sample * net.inputs * batch.length + start, batch.length, length,
                                  output + sample * batch.outputs() * made + start, made,
                                  rows.data() + worker * largest.sample_floats(), nullptr,
                                  scratch.data() + worker * convnet_forward_scratch(net, largest.length)};
        NAM_CALL(convnet_forward)(call, 0, net.layers);
    });
    return true;
}

// What one layer's backward pass leaves to be added up over the batch.
void gather_layer(const Batch& batch, const ConvNetLayer& layer, const std::vector<GradientSums>& sums,
                  float* weight_gradients, std::vector<NormalGradient>& normal_gradients) {
    const double count = batch.normalises ? static_cast<double>(batch.size * batch.in_layer(layer)) : 0.0;
    gather_gradients(layer, sums.data(), batch.net.rows, batch.size, count, batch.statistics, weight_gradients,
                     normal_gradients.data());
}

bool backward(const Batch& batch, const float* packed, const float* output_gradient, const float* rows,
              float* weight_gradients, float* input_gradient) {
    const ConvNet& net = batch.net;
    const size_t scratch_each = convnet_backward_scratch(net, batch.length);
    const size_t rows_each = convnet_gradient_rows(net, batch.length);
    // Sample after sample, dy of those only that are being worked on, of two layers in turn.
    const HeldBuffer scratch(batch.threads * scratch_each), each(batch.size * net.weights);
    const HeldBuffer gradients((batch.normalises ? batch.size : 2 * batch.threads) * rows_each);
    if (!scratch.data() || !each.data() || !gradients.data()) return false;
    std::memset(each.data(), 0, static_cast<size_t>(batch.size * net.weights) * sizeof(float));
    std::memset(weight_gradients, 0, static_cast<size_t>(net.weights) * sizeof(float));
    const std::vector<Normal> normals = known_normals(batch);
    std::vector<NormalGradient> normal_gradients(net.rows);
    std::vector<GradientSums> sums(batch.size * net.rows);
    const auto layer_back = [&](ptrdiff_t sample, int worker, int l) {
        const ptrdiff_t here = batch.normalises ? sample : 2 * worker + l % 2;
        const ptrdiff_t before = batch.normalises ? sample : 2 * worker + (l + 1) % 2;
        const ConvNetBackward call{net, batch.weights, packed, normals.data(), normal_gradients.data(),
                                   output_gradient + sample * batch.outputs() * batch.made(), batch.length,
                                   rows + sample * batch.sample_floats(),
                                   gradients.data() + here * rows_each, gradients.data() + before * rows_each,
                                   each.data() + sample * net.weights, &sums[sample * net.rows],
                                   input_gradient ? input_gradient + sample * net.inputs * batch.length : nullptr,
                                   scratch.data() + worker * scratch_each};
        NAM_CALL(convnet_backward)(call, l);
    };
    const int samples = static_cast<int>(batch.size), last = net.layers - 1;
    if (!batch.normalises)
        parallel_for(batch.threads, samples, [&](int sample, int worker) {
            for (int l = last; l >= 0; --l) layer_back(sample, worker, l);
        });
    for (int l = last; l >= 0; --l) {
        if (batch.normalises)
            parallel_for(batch.threads, samples, [&](int index, int worker) {
                layer_back(in_turn(index, l, batch.size), worker, l);
            });
        if (l == last) gather_layer(batch, net.layer[l], sums, weight_gradients, normal_gradients);
        if (l > 0) gather_layer(batch, net.layer[l - 1], sums, weight_gradients, normal_gradients);
    }
    for (ptrdiff_t sample = 0; sample < batch.size; ++sample)
        for (ptrdiff_t i = 0; i < net.weights; ++i) weight_gradients[i] += each.data()[sample * net.weights + i];
    return true;
}

Batch batch_of(const ConvNet& net, const float* weights, int64_t size, int64_t length, double* statistics,
               int from_batch, int threads) {
    const Statistics each{statistics, statistics + net.rows, statistics + 2 * net.rows};
    return {net, weights, size, length, each, from_batch && net.norms, std::max(threads, 1)};
}

}  // namespace
}  // namespace nam

using nam::ConvNetPlan;

// A plan of a net; null if it is not within the limits of convnet.h.
NAM_API void* nam_convnet_create(int inputs, const nam::ConvNetLayerFields* layers, int count) {
    return nam::plan_convnet(inputs, layers, count).release();
}

NAM_API void nam_convnet_destroy(void* plan) { delete static_cast<ConvNetPlan*>(plan); }

// Number of weights, past samples that the output needs, and rows, so that Python can check that both count alike.
NAM_API int64_t nam_convnet_weights(const void* plan) { return static_cast<const ConvNetPlan*>(plan)->net.weights; }
NAM_API int64_t nam_convnet_past(const void* plan) { return static_cast<const ConvNetPlan*>(plan)->net.first; }
NAM_API int64_t nam_convnet_rows(const void* plan) { return static_cast<const ConvNetPlan*>(plan)->net.rows; }

// input (batch, inputs, length) → output (batch, outputs, length − past). `statistics` (3, rows) are mean, variance and
// ε; with `from_batch` the first two are those of this batch, and written. With `kept`, a buffer for the backward
// pass is made, to be given back with nam_give_buffer. 0, or −1 when there is no memory.
NAM_API int nam_convnet_forward(const void* plan, const float* weights, const float* input, int64_t size,
                                int64_t length, double* statistics, int from_batch, float* output, float** kept,
                                int threads) {
    const nam::ConvNet& net = static_cast<const ConvNetPlan*>(plan)->net;
    const nam::Batch batch = nam::batch_of(net, weights, size, length, statistics, from_batch, threads);
    const nam::HeldBuffer packed(net.packed);
    if (!packed.data()) return -1;
    NAM_CALL(convnet_pack)(net, weights, packed.data());
    if (!kept && !batch.normalises) return nam::forward_pieces(batch, packed.data(), input, output) ? 0 : -1;
    float* rows = nam::take_buffer(size * batch.sample_floats());
    const bool played = rows && nam::forward_stored(batch, packed.data(), input, output, rows);
    if (played && kept) *kept = rows;
    else nam::give_buffer(rows);
    return played ? 0 : -1;
}

// output_gradient (batch, outputs, length − past) → weight_gradients (weights), and input_gradient in the shape of the
// input, or null. `statistics` are what the forward pass has used. The sum over the batch is taken in its order, so
// the result does not depend on the number of threads.
NAM_API int nam_convnet_backward(const void* plan, const float* weights, const float* output_gradient, int64_t size,
                                 int64_t length, double* statistics, int from_batch, const float* kept,
                                 float* weight_gradients, float* input_gradient, int threads) {
    const nam::ConvNet& net = static_cast<const ConvNetPlan*>(plan)->net;
    const nam::Batch batch = nam::batch_of(net, weights, size, length, statistics, from_batch, threads);
    const nam::HeldBuffer packed(net.packed);
    if (!packed.data()) return -1;
    NAM_CALL(convnet_pack)(net, weights, packed.data());
    return nam::backward(batch, packed.data(), output_gradient, kept, weight_gradients, input_gradient) ? 0 : -1;
}
