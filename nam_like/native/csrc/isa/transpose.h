// Transposing a square of W × W floats in registers.
//
// Within each group of four lanes it is a 4 × 4 transpose in two rounds of interleaving: single floats, then pairs.
// What is left is a transpose of the groups themselves, which swaps halves of ever wider vectors. Three rounds for 8
// lanes, four for 16, one instruction per vector and round.
#pragma once
#include "vec.h"

namespace nam::NAM_ISA {

// The numbers 0 … N − 1 as template arguments.
template <int... L>
struct Lanes {};
template <int N, int... L>
struct CountLanes : CountLanes<N - 1, N - 1, L...> {};
template <int... L>
struct CountLanes<0, L...> {
    using type = Lanes<L...>;
};

// Lane l of the result is lane From::at(l) of (a, b), which count from 0 to 2W − 1.
template <class From, int... L>
NAM_INLINE vf pick(vf a, vf b, Lanes<L...>) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, From::at(L)...);
#else
    return __builtin_shuffle(a, b, vi{From::at(L)...});
#endif
}
template <class From>
NAM_INLINE vf pick(vf a, vf b) {
    return pick<From>(a, b, typename CountLanes<W>::type{});
}

// Runs of SIZE lanes of a and b in turn, from the lower or upper HALF of each group of four.
template <int SIZE, int HALF>
struct Interleave {
    static constexpr int at(int l) {
        const int group = l / 4 * 4, run = l % 4 / SIZE;
        return run % 2 * W + group + HALF * 2 + run / 2 * SIZE + l % SIZE;
    }
};

// a and b each consist of blocks of 2·SIZE lanes; the result has the lower (upper) halves of both.
template <int SIZE, int HALF>
struct Swap {
    static constexpr int at(int l) {
        const int block = l / (2 * SIZE) * 2 * SIZE, within = l % (2 * SIZE);
        return within / SIZE * W + block + HALF * SIZE + within % SIZE;
    }
};

template <int SIZE>
NAM_INLINE void swap_groups(vf* rows) {
    for (int first = 0; first < W; first += 2 * SIZE) {
        NAM_UNROLL
        for (int i = 0; i < SIZE; ++i) {
            const vf a = rows[first + i], b = rows[first + i + SIZE];
            rows[first + i] = pick<Swap<SIZE, 0>>(a, b);
            rows[first + i + SIZE] = pick<Swap<SIZE, 1>>(a, b);
        }
    }
}

// Row i, lane l → row l, lane i.
NAM_INLINE void transpose(vf* rows) {
    NAM_UNROLL
    for (int i = 0; i < W; i += 4) {
        vf* r = rows + i;
        const vf a = pick<Interleave<1, 0>>(r[0], r[1]), b = pick<Interleave<1, 1>>(r[0], r[1]);
        const vf c = pick<Interleave<1, 0>>(r[2], r[3]), d = pick<Interleave<1, 1>>(r[2], r[3]);
        r[0] = pick<Interleave<2, 0>>(a, c), r[1] = pick<Interleave<2, 1>>(a, c);
        r[2] = pick<Interleave<2, 0>>(b, d), r[3] = pick<Interleave<2, 1>>(b, d);
    }
    if (W >= 8) swap_groups<W >= 8 ? 4 : 1>(rows);
    if (W >= 16) swap_groups<W >= 16 ? 8 : 1>(rows);
}

}  // namespace nam::NAM_ISA
