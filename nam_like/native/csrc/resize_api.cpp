// What Python calls for maps at half and at twice their size.
#include "resize.h"

#include <algorithm>
#include <vector>

#include "api.h"
#include "threads.h"

namespace {

// Rows for double_plane, one for each worker.
class Rows {
public:
    Rows(int threads, int64_t width) : each_(3 * width), memory_(static_cast<size_t>(std::max(threads, 1)) * each_) {}
    float* of(int worker) { return memory_.data() + worker * each_; }

private:
    ptrdiff_t each_;
    std::vector<float> memory_;
};

}  // namespace

// `height` × `width` is the size of the smaller maps.
NAM_API void nam_halve(const float* x, float* y, int64_t planes, int64_t height, int64_t width, int backward,
                       int threads) {
    const ptrdiff_t small = height * width, large = 4 * small;
    nam::parallel_for(threads, static_cast<int>(planes), [&](int p, int) {
        if (backward) NAM_CALL(halve_plane_back)(x + p * small, y + p * large, height, width);
        else NAM_CALL(halve_plane)(x + p * large, y + p * small, height, width);
    });
}

// `valid` columns of each item of the larger maps, or null; an item has `planes` maps.
NAM_API void nam_double(const float* x, float* y, const int64_t* valid, int64_t batch, int64_t planes, int64_t height,
                        int64_t width, int backward, int threads) {
    const ptrdiff_t small = height * width, large = 4 * small;
    Rows rows(threads, width);
    nam::parallel_for(threads, static_cast<int>(batch * planes), [&](int p, int worker) {
        const int64_t columns = valid ? std::clamp<int64_t>(valid[p / planes], 0, 2 * width) : 2 * width;
        float* row = rows.of(worker);
        if (backward) NAM_CALL(double_plane_back)(x + p * large, y + p * small, height, width, columns, row);
        else NAM_CALL(double_plane)(x + p * small, y + p * large, height, width, columns, row);
    });
}
