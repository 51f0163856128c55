#include "stream_signal.h"

#include <algorithm>
#include <cstring>

namespace nam::stream {
namespace {

constexpr ptrdiff_t LINE = 16;  // floats of a cache line
// Shorter rings would save nothing, but would be copied at their ends more often.
constexpr ptrdiff_t SHORTEST_RING = 4 * STREAM_BLOCK;

}  // namespace

void Signal::remember(ptrdiff_t samples) {
    if (samples <= history_) return;
    history_ = samples;
    ring_ = std::max(history_ + STREAM_BLOCK + STREAM_PAD, SHORTEST_RING);
    ring_ = (ring_ + LINE - 1) / LINE * LINE;
    // An odd number of cache lines: the rows of a block then lie in different sets of the cache.
    stride_ = (ring_ + STREAM_BLOCK + STREAM_PAD + LINE - 1) / LINE;
    stride_ = (stride_ | 1) * LINE;
}

ptrdiff_t Signal::floats() const { return rows_ * stride_; }

SourceRows Signal::read(int row, int count, ptrdiff_t delay) const {
    ptrdiff_t from = at_ - delay;
    if (from < 0) from += ring_;
    return {data_ + row * stride_ + from, stride_, count};
}

void Signal::wrote(int row, int count, int n) {
    if (!is_ring()) return;
    const ptrdiff_t over = at_ + n - ring_;
    if (at_ >= STREAM_BLOCK && over <= 0) return;
    for (int r = row; r < row + count; ++r) {
        float* data = data_ + r * stride_;
        if (over > 0) std::memcpy(data, data + ring_, static_cast<size_t>(over) * sizeof(float));
        if (at_ < STREAM_BLOCK) {
            const ptrdiff_t end = std::min<ptrdiff_t>(at_ + n, STREAM_BLOCK);
            std::memcpy(data + ring_ + at_, data + at_, static_cast<size_t>(end - at_) * sizeof(float));
        }
    }
}

void Signal::advance(int n) {
    if (!is_ring()) return;
    at_ += n;
    if (at_ >= ring_) at_ -= ring_;
}

}  // namespace nam::stream
