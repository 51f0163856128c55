// How many channels one register block covers.
//
// A block keeps (channels × vectors) running sums in registers. Each step loads one vector per time vector and
// one weight per channel, and does channels × vectors multiply-adds with them: the squarer the block, the
// fewer loads per multiply-add. A core does two loads and two multiply-adds per cycle, so a block of
// 4 channels × 3 vectors (7 loads, 12 multiply-adds) is limited by arithmetic, which is what we want.
// With 16 registers 12 sums fit beside 3 inputs and 1 weight; with 32 registers 24 do.
#pragma once
#include "vec.h"

namespace nam::NAM_ISA {

inline constexpr bool WIDE = REGISTERS >= 32;

// Channels of the next block when `left` channels are left: large blocks, and no remainder of 1.
NAM_INLINE int next_block(int left) {
    if (WIDE) {
        if (left % 8 == 0) return 8;
        if (left % 6 == 0) return 6;
        if (left == 9 || left == 10) return 6;
        if (left > 8) return 8;
        return left == 7 ? 4 : left == 5 ? 3 : left;
    }
    if (left % 4 == 0) return 4;
    if (left % 3 == 0) return 3;
    return left == 5 ? 3 : left > 4 ? 4 : left;
}

// The other side of the block: vectors over time in mix_rows, sources in dot_rows. All divide 12.
constexpr int across(int channels) {
    return WIDE ? (channels == 8 ? 3 : channels == 6 ? 4 : channels == 1 ? 12 : 6)
                : (channels == 4 ? 3 : channels == 3 ? 4 : channels == 2 ? 6 : 12);
}

// Samples that all channels of mix_rows pass through before the next ones: a whole number of blocks for every
// channel count, and few enough that the sources of a wide layer stay in the first level of cache meanwhile.
inline constexpr ptrdiff_t STEP = 12 * W;

}  // namespace nam::NAM_ISA
