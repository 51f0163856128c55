#include "../peak.h"

#include "vec.h"

namespace nam::NAM_ISA {

double peak_loop(long rounds, float* sink) {
    constexpr int SUMS = 12;  // more than latency × throughput of a multiply-add on every core we know
    vf acc[SUMS];
    // Every loop over the sums is unrolled, or the compiler keeps them in memory.
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; ++i) acc[i] = splat(static_cast<float>(i));
    vf a = splat(0.999999f), b = splat(1e-6f);
    for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; ++i) acc[i] = acc[i] * a + b;
        asm volatile("" : "+m"(rounds));  // the compiler may not work it out in advance
    }
    vf total = acc[0];
#pragma GCC unroll 12
    for (int i = 1; i < SUMS; ++i) total += acc[i];
    const float result = sum(total);
    if (result == 12345.0f) *sink = result;
    return 2.0 * SUMS * W * static_cast<double>(rounds);
}

}  // namespace nam::NAM_ISA
