// Multi-resolution STFT distance: what the parts of it know of each other.
//
// Per resolution, with magnitudes X of the prediction and Y of the target (N frames × bins of a real FFT):
//
//     ‖Y − X‖ / ‖Y‖ + mean |ln X − ln Y|,   X = sqrt(max(|STFT|², eps)),   norms over the whole batch.
//
// The gradient with respect to an output P of the transform is (a·(X − Y)/X + b·sign(X − Y)/X²)·P. The factors
// a = 1/(‖Y − X‖·‖Y‖) and b = 1/count are known only when every frame has been seen, but the way back to samples is
// linear. So each frame is transformed back twice, once per term, while its spectrum is in the cache, and a
// and b weigh the two sums of samples at the end: four transforms per frame and nothing stored, instead of five
// (all spectra computed twice) or three with tens of megabytes of spectra written and read again.
//
//     stft_plan.*        windows and tables of a resolution
//     stft_api.cpp       cuts the batch into runs of frames, shares them among threads, puts the gradient together
//     isa/stft_loss.cpp  a group of runs: one run per lane of a vector
//     isa/stft_bins.h    distance and gradient of a pair of bins
//     isa/fft.h          the transform and the way back
//     isa/transpose.h    from samples in a row to samples of all lanes side by side
#pragma once
#include <cstddef>
#include <cstdint>

#include "dispatch.h"

namespace nam {

// Bins k and M − k of a complex FFT of M points: where they are after the transform, and e^{−2πik/2M}.
struct BinPair {
    int32_t first, second;
    float cosine, sine;  // of 2πk / 2M
};

// A resolution; isa/fft.h explains the tables.
struct StftPlan {
    int points;              // N of the real FFT, a power of two
    int half;                // M = N / 2
    int hop;                 // samples from frame to frame
    int width;               // samples under the window, an even number (an odd window ends in a zero)
    int lead;                // the window of frame n begins at sample n·hop − lead
    float least;             // least squared magnitude, eps
    const float* window;     // width values
    const float* twiddles;   // of all levels, from the largest to the smallest block
    const BinPair* pairs;    // k = 1 … M/2 − 1, by place
    int pair_count;
    int middle;              // where bin M/2 is
};

// Consecutive frames of one item. Samples beyond its ends are reflections.
struct StftRun {
    const float* prediction;
    const float* target;
    int64_t begin;  // first sample under the first frame's window; negative in the padding
    int frames;     // 0 in a lane that nothing is left for; the rest is then that of another lane
};

// Sums over frames and bins.
struct StftSums {
    double difference = 0.0;  // (Y − X)²
    double target = 0.0;      // Y²
    double log = 0.0;         // |ln X − ln Y|
};

// Samples that a run of `frames` frames covers, and those that a row for them has room for: whole vectors.
inline int64_t stft_span(const StftPlan& plan, int frames) {
    return static_cast<int64_t>(frames - 1) * plan.hop + plan.width;
}
inline int64_t stft_row(const StftPlan& plan, int frames) { return (stft_span(plan, frames) + 15) / 16 * 16; }

}  // namespace nam

// Runs that one call works on: floats in a vector.
NAM_KERNEL(int, stft_lanes, ())

// Floats of working memory that stft_group needs for runs of up to `frames` frames.
NAM_KERNEL(size_t, stft_scratch, (const StftPlan& plan, int frames, bool with_gradient))

// Compares the frames of stft_lanes() runs of up to `frames` frames, of items of `samples` samples.
// `gradient` is null, or receives per run the two terms' gradients: 2 × stft_row(plan, frames) floats.
NAM_KERNEL(StftSums, stft_group,
           (const StftPlan& plan, const StftRun* runs, int frames, int64_t samples, float* scratch, float* gradient))
