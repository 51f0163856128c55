// Reading the description of a net that Python hands over, and laying out its weights and rows.
#pragma once
#include <memory>
#include <vector>

#include "wavenet.h"

namespace nam {

// A WaveNet and the memory that its arrays and layers lie in.
struct WaveNetPlan {
    WaveNet net{};
    std::vector<WaveNetArray> arrays;
    std::vector<std::vector<WaveNetLayer>> layers;
    std::vector<WaveNetPart> parts;
};

// `integers` and `reals` are as nam_like/native/wavenet.py writes them; null if they make no net within the limits
// of wavenet.h.
std::unique_ptr<WaveNetPlan> plan_wavenet(const int64_t* integers, int64_t integer_count, const double* reals,
                                          int64_t real_count);

}  // namespace nam
