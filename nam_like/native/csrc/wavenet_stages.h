// How the threads share a batch.
//
// Where there are at least as many items as threads, each thread takes one item after the other. Where there are
// fewer, or the last round would leave threads idle, several threads work on one item, as on an assembly line: each has
// some consecutive parts of the net, its stage, and hands every chunk of time over to the next when it is through
// with it. Nothing is computed twice, and no bit of the result depends on it.
#pragma once
#include <algorithm>
#include <functional>
#include <vector>

#include "wavenet.h"

namespace nam {

struct Stages {
    int groups;                  // of threads; an item is worked on by one group
    std::vector<PartSpan> span;  // the parts of each stage, in the order of the forward pass

    int count() const { return static_cast<int>(span.size()); }
    // Items that are worked on at a time: two for each group, or one for each thread.
    int slots(int threads) const { return count() > 1 ? 2 * groups : threads; }
};

// What takes the least time, by the cost of the parts.
Stages divide(const WaveNet& net, ptrdiff_t batch, ptrdiff_t length, int threads);

// Time in chunks.
struct Chunks {
    ptrdiff_t length, each;
    int count() const { return static_cast<int>((length + each - 1) / each); }
    ptrdiff_t from(int chunk) const { return chunk * each; }
    ptrdiff_t to(int chunk) const { return std::min(length, (chunk + 1) * each); }
};

// What is done at once. `worker` and `slot` are numbers that no other turn has at the same time, but for the turns of
// one item, which share its slot.
struct Turn {
    int item, stage, chunk, worker, slot;
};

// Takes all turns: an item's chunks pass through a stage in their order, and a chunk passes through the stages in
// theirs.
void run_stages(const Stages& stages, int threads, int batch, int chunks,
                const std::function<void(const Turn&)>& take);

}  // namespace nam
