// Windows and tables of STFT resolutions, worked out once per process.
#pragma once
#include "stft.h"

namespace nam {

// Smallest FFT of isa/fft.h.
inline constexpr int LEAST_FFT = 32;

// The plan of a resolution, which stays valid for ever; null if `points` is not a power of two >= LEAST_FFT,
// the window is longer, or a number is not positive.
const StftPlan* stft_plan(int points, int hop, int width, float least);

}  // namespace nam
