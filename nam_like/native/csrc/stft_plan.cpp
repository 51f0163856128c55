#include "stft_plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

namespace nam {
namespace {

constexpr double PI = 3.14159265358979323846;

struct Tables {
    std::vector<float> window, twiddles;
    std::vector<BinPair> pairs;
    StftPlan plan;
};

// Periodic Hann window at half its height: isa/stft_bins.h adds bins k and M − k without halving them.
std::vector<float> half_hann(int width) {
    std::vector<float> window(static_cast<size_t>(width + width % 2), 0.0f);
    for (int i = 0; i < width; ++i) window[i] = static_cast<float>(0.25 - 0.25 * std::cos(2.0 * PI * i / width));
    if (width == 1) window[0] = 0.5f;  // by convention, as in PyTorch and SciPy
    return window;
}

// Per level, from M points down to the leaves: e^{−2πijr/n} for j = 0 … n/4 − 1, r = 1, 2, 3, as (re, im).
std::vector<float> twiddles(int half) {
    std::vector<float> table;
    for (int n = half; n > 8; n /= 4) {
        for (int j = 0; j < n / 4; ++j) {
            for (int r = 1; r <= 3; ++r) {
                const double angle = -2.0 * PI * j * r / n;
                table.push_back(static_cast<float>(std::cos(angle)));
                table.push_back(static_cast<float>(std::sin(angle)));
            }
        }
    }
    return table;
}

// Where bin k of an n-point transform is after the passes of isa/fft.h: quarter k mod 4, then on within it.
int place(int k, int n) { return n <= 8 ? k : (k % 4) * (n / 4) + place(k / 4, n / 4); }

// In the order of `first`, so that the walk over the pairs runs through memory in two or three straight streams.
std::vector<BinPair> bin_pairs(int half) {
    std::vector<BinPair> pairs;
    for (int k = 1; k < half / 2; ++k) {
        const double angle = PI * k / half;
        pairs.push_back({place(k, half), place(half - k, half), static_cast<float>(std::cos(angle)),
                         static_cast<float>(std::sin(angle))});
    }
    std::sort(pairs.begin(), pairs.end(), [](const BinPair& a, const BinPair& b) { return a.first < b.first; });
    return pairs;
}

Tables* make_tables(int points, int hop, int width, float least) {
    auto* tables = new Tables;
    const int half = points / 2;
    tables->window = half_hann(width);
    tables->twiddles = twiddles(half);
    tables->pairs = bin_pairs(half);
    StftPlan& plan = tables->plan;
    plan.points = points;
    plan.half = half;
    plan.hop = hop;
    plan.width = static_cast<int>(tables->window.size());
    plan.lead = half - (points - width) / 2;
    plan.least = least;
    plan.window = tables->window.data();
    plan.twiddles = tables->twiddles.data();
    plan.pairs = tables->pairs.data();
    plan.pair_count = static_cast<int>(tables->pairs.size());
    plan.middle = place(half / 2, half);
    return tables;
}

}  // namespace

const StftPlan* stft_plan(int points, int hop, int width, float least) {
    const bool power_of_two = points >= LEAST_FFT && (points & (points - 1)) == 0;
    if (!power_of_two || hop < 1 || width < 1 || width > points) return nullptr;
    static std::mutex mutex;
    static auto& known = *new std::map<std::tuple<int, int, int, float>, Tables*>;  // never freed: used till the end
    std::lock_guard<std::mutex> lock(mutex);
    Tables*& tables = known[{points, hop, width, least}];
    if (!tables) tables = make_tables(points, hop, width, least);
    return &tables->plan;
}

}  // namespace nam
