// A group of runs of frames, one run per lane: signals in, sums and gradients out.
//
// Frames overlap (a window is five hops long), so the samples of a run are turned into (time, lane) order once and
// all its frames read them from there; the gradient is added up in the same order and turned back once.
#include "fft.h"
#include "stft_bins.h"
#include "transpose.h"

namespace nam::NAM_ISA {
namespace {

// Floats of each buffer, a multiple of a cache line, and not of a page: equal places of two buffers then fall
// into different sets of the cache.
size_t padded(size_t floats) { return (floats + 15) / 16 * 16 + 16 * 5; }
size_t signal_floats(const StftPlan& plan, int frames) { return padded(static_cast<size_t>(stft_row(plan, frames)) * W); }
size_t spectrum_floats(const StftPlan& plan) { return padded(static_cast<size_t>(plan.half) * 2 * W); }

// Sample i of an item of `samples` samples that is reflected at its ends (without repeating them). Beyond the
// reflections only frames that do not exist would look.
float reflected(const float* item, int64_t i, int64_t samples) {
    if (i < 0) i = -i;
    if (i >= samples) i = 2 * (samples - 1) - i;
    return i >= 0 && i < samples ? item[i] : 0.0f;
}

// `count` samples of an item from `begin` on: where they are, or at the item's ends a copy with reflections.
const float* in_a_row(const float* item, int64_t begin, int64_t count, int64_t samples, float* copy) {
    if (begin >= 0 && begin + count <= samples) return item + begin;
    const int64_t left = samples - begin, first = begin < 0 ? -begin : 0, last = left < count ? left : count;
    for (int64_t t = 0; t < first; ++t) copy[t] = reflected(item, begin + t, samples);
    if (last > first) std::memcpy(copy + first, item + begin + first, static_cast<size_t>(last - first) * sizeof(float));
    for (int64_t t = last > first ? last : first; t < count; ++t) copy[t] = reflected(item, begin + t, samples);
    return copy;
}

// A row of `count` samples per lane → (count, W), and back.
void interleave(const float* const* rows, int64_t count, float* samples) {
    for (int64_t t = 0; t < count; t += W) {
        vf square[W];
        NAM_UNROLL
        for (int l = 0; l < W; ++l) square[l] = load(rows[l] + t);
        transpose(square);
        NAM_UNROLL
        for (int l = 0; l < W; ++l) store(samples + (t + l) * W, square[l]);
    }
}

void deinterleave(const float* samples, int64_t count, float* rows, int64_t stride) {
    for (int64_t t = 0; t < count; t += W) {
        vf square[W];
        NAM_UNROLL
        for (int l = 0; l < W; ++l) square[l] = load(samples + (t + l) * W);
        transpose(square);
        NAM_UNROLL
        for (int l = 0; l < W; ++l) store(rows + l * stride + t, square[l]);
    }
}

// `copies` is room for a row per lane.
void load_runs(const StftRun* runs, const float* StftRun::* signal, int64_t count, int64_t samples, float* copies,
               float* out) {
    const float* rows[W];
    for (int l = 0; l < W; ++l)
        rows[l] = in_a_row(runs[l].*signal, runs[l].begin, count, samples, copies + l * count);
    interleave(rows, count, out);
}

vi living_lanes(const StftRun* runs, int frame) {
    vi live;
    for (int l = 0; l < W; ++l) live[l] = frame < runs[l].frames ? -1 : 0;
    return live;
}

}  // namespace

int stft_lanes() { return W; }

size_t stft_scratch(const StftPlan& plan, int frames, bool with_gradient) {
    return (with_gradient ? 5 : 3) * signal_floats(plan, frames) + 2 * spectrum_floats(plan);
}

StftSums stft_group(const StftPlan& plan, const StftRun* runs, int frames, int64_t samples, float* scratch,
                    float* gradient) {
    const int64_t row = stft_row(plan, frames);
    const size_t signal = signal_floats(plan, frames);
    float *prediction = scratch, *target = prediction + signal;
    float *copies = target + signal, *spectra = copies + signal;
    auto* p = reinterpret_cast<Complex*>(spectra);
    auto* y = reinterpret_cast<Complex*>(spectra + spectrum_floats(plan));
    float *by_difference = spectra + 2 * spectrum_floats(plan), *by_log = by_difference + signal;
    load_runs(runs, &StftRun::prediction, row, samples, copies, prediction);
    load_runs(runs, &StftRun::target, row, samples, copies, target);
    if (gradient) std::memset(by_difference, 0, 2 * signal * sizeof(float));

    StftSums total;
    LogSum log;
    for (int frame = 0; frame < frames; ++frame) {
        const ptrdiff_t begin = static_cast<ptrdiff_t>(frame) * plan.hop * W;
        const vi live = living_lanes(runs, frame);
        BinSums sums;
        transform(plan, prediction + begin, p);
        transform(plan, target + begin, y);
        if (gradient) {
            compare_bins<true>(plan, p, y, live, sums);
            adjoint_transform(plan, p, by_difference + begin);
            adjoint_transform(plan, y, by_log + begin);
        } else {
            compare_bins<false>(plan, p, y, live, sums);
        }
        for (int l = 0; l < W; ++l) {
            if (!live[l]) continue;
            total.difference += static_cast<double>(sums.difference[l]);
            total.target += static_cast<double>(sums.target[l]);
        }
        log.add(sums.log, live);
    }
    for (int l = 0; l < W; ++l) total.log += log.lane(l);
    if (gradient) {
        deinterleave(by_difference, row, gradient, 2 * row);
        deinterleave(by_log, row, gradient + row, 2 * row);
    }
    return total;
}

}  // namespace nam::NAM_ISA
