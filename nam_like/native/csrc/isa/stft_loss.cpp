// A group of runs of frames, one run per lane: signals in, sums and gradients out.
//
// Frames overlap (a window is five hops long), so the samples of a run are turned into (time, lane) order once and
// all its frames read them from there; the gradient is added up in the same order and turned back once.
#include "fft.h"
#include "stft_bins.h"

namespace nam::NAM_ISA {
namespace {

// Floats of each buffer, a multiple of a cache line, and not of a page: equal places of two buffers then fall
// into different sets of the cache.
size_t padded(size_t floats) { return (floats + 15) / 16 * 16 + 16 * 5; }
size_t signal_floats(const StftPlan& plan, int frames) {
    return padded(static_cast<size_t>(stft_span(plan, frames)) * W);
}
size_t spectrum_floats(const StftPlan& plan) { return padded(static_cast<size_t>(plan.half) * 2 * W); }

// Position of sample i in an item of `samples` samples that is reflected at its ends (without repeating them).
int64_t reflected(int64_t i, int64_t samples) {
    if (i < 0) return -i;
    return i < samples ? i : 2 * (samples - 1) - i;
}

// Samples of an item from `begin` on into lane l of (span, W) buffers. Beyond the last reflection they are zero;
// only frames that do not exist would see them.
void load_lane(const float* item, int64_t begin, int64_t span, int64_t samples, float* lane) {
    for (int64_t t = 0; t < span; ++t) {
        const int64_t i = reflected(begin + t, samples);
        lane[t * W] = i >= 0 && i < samples ? item[i] : 0.0f;
    }
}

void load_runs(const StftRun* runs, int64_t span, int64_t samples, float* prediction, float* target) {
    for (int l = 0; l < W; ++l) {
        if (runs[l].frames > 0) {
            load_lane(runs[l].prediction, runs[l].begin, span, samples, prediction + l);
            load_lane(runs[l].target, runs[l].begin, span, samples, target + l);
            continue;
        }
        for (int64_t t = 0; t < span; ++t) prediction[t * W + l] = target[t * W + l] = 0.0f;
    }
}

// (span, W) → a row of `span` per lane, `stride` floats from row to row.
void store_runs(const float* samples, int64_t span, float* rows, int64_t stride) {
    for (int l = 0; l < W; ++l)
        for (int64_t t = 0; t < span; ++t) rows[l * stride + t] = samples[t * W + l];
}

vi living_lanes(const StftRun* runs, int frame) {
    vi live;
    for (int l = 0; l < W; ++l) live[l] = frame < runs[l].frames ? -1 : 0;
    return live;
}

}  // namespace

int stft_lanes() { return W; }

size_t stft_scratch(const StftPlan& plan, int frames, bool with_gradient) {
    return (with_gradient ? 4 : 2) * signal_floats(plan, frames) + 2 * spectrum_floats(plan);
}

StftSums stft_group(const StftPlan& plan, const StftRun* runs, int frames, int64_t samples, float* scratch,
                    float* gradient) {
    const int64_t span = stft_span(plan, frames);
    const size_t signal = signal_floats(plan, frames);
    float *prediction = scratch, *target = prediction + signal;
    auto* p = reinterpret_cast<Complex*>(target + signal);
    auto* y = reinterpret_cast<Complex*>(target + signal + spectrum_floats(plan));
    float *by_difference = target + signal + 2 * spectrum_floats(plan), *by_log = by_difference + signal;
    load_runs(runs, span, samples, prediction, target);
    if (gradient) std::memset(by_difference, 0, 2 * signal * sizeof(float));

    StftSums total;
    LogQuotient log;
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
        log.multiply(sums.log, live);
    }
    for (int l = 0; l < W; ++l) total.log += log.lane(l);
    if (gradient) {
        store_runs(by_difference, span, gradient, 2 * span);
        store_runs(by_log, span, gradient + span, 2 * span);
    }
    return total;
}

}  // namespace nam::NAM_ISA
