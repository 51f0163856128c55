#include "dispatch.h"

#include <chrono>
#include <cstring>

#include "api.h"
#include "peak.h"
#include "threads.h"

namespace nam {
namespace {

#if defined(__aarch64__)
constexpr const char* NAMES[] = {"neon"};
#else
constexpr const char* NAMES[] = {"portable", "avx2", "avx512"};
#endif

Isa best() {
#ifdef NAM_X86
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return Isa::avx512;
    if (avx2) return Isa::avx2;
#endif
    return Isa::baseline;
}

Isa chosen = best();

}  // namespace

Isa isa() { return chosen; }

}  // namespace nam

NAM_API int nam_abi_version() { return NAM_ABI_VERSION; }

NAM_API const char* nam_isa() { return nam::NAMES[static_cast<int>(nam::isa())]; }

// Chooses by name ("auto" for the best); 0, or −1 for a name that this build or this processor does not have.
NAM_API int nam_set_isa(const char* name) {
    const nam::Isa best = nam::best();
    if (std::strcmp(name, "auto") == 0) {
        nam::chosen = best;
        return 0;
    }
    for (int i = 0; i <= static_cast<int>(best); ++i) {
        if (std::strcmp(name, nam::NAMES[i]) == 0) {
            nam::chosen = static_cast<nam::Isa>(i);
            return 0;
        }
    }
    return -1;
}

// Floating-point operations per second of a loop of multiply-adds on registers, on `threads` threads.
NAM_API double nam_peak_flops(int threads, double seconds) {
    using clock = std::chrono::steady_clock;
    const long rounds = 200000;
    double best = 0.0;
    float sink = 0.0f;
    const auto end = clock::now() + std::chrono::duration<double>(seconds);
    do {
        double flops[256] = {};
        if (threads > 256) threads = 256;
        const auto start = clock::now();
        nam::parallel_for(threads, threads, [&](int index, int) { flops[index] = NAM_CALL(peak_loop)(rounds, &sink); });
        const double took = std::chrono::duration<double>(clock::now() - start).count();
        double total = 0.0;
        for (int i = 0; i < threads; ++i) total += flops[i];
        if (total / took > best) best = total / took;
    } while (clock::now() < end);
    return best;
}
