#include "../peak.h"

#include "vec.h"

namespace nam::NAM_ISA {

double peak_loop(long rounds, float* sink) {
    // Twelve sums: more than latency × throughput of a multiply-add on every core we know. Twelve names instead of an
    // array, because compilers leave an array in memory.
    constexpr int SUMS = 12;
    vf s0 = splat(0.0f), s1 = splat(1.0f), s2 = splat(2.0f), s3 = splat(3.0f), s4 = splat(4.0f), s5 = splat(5.0f);
    vf s6 = splat(6.0f), s7 = splat(7.0f), s8 = splat(8.0f), s9 = splat(9.0f), s10 = splat(10.0f), s11 = splat(11.0f);
    const vf a = splat(0.999999f), b = splat(1e-6f);
    for (long round = 0; round < rounds; ++round) {
        s0 = s0 * a + b, s1 = s1 * a + b, s2 = s2 * a + b, s3 = s3 * a + b;
        s4 = s4 * a + b, s5 = s5 * a + b, s6 = s6 * a + b, s7 = s7 * a + b;
        s8 = s8 * a + b, s9 = s9 * a + b, s10 = s10 * a + b, s11 = s11 * a + b;
        asm volatile("");  // the compiler may not work several rounds into one
    }
    const float result = sum(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11);
    if (result == 12345.0f) *sink = result;
    return 2.0 * SUMS * W * static_cast<double>(rounds);
}

}  // namespace nam::NAM_ISA
