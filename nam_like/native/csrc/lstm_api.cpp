// What Python calls for an LSTM.
#include "lstm.h"

#include <algorithm>
#include <cstring>

#include "api.h"
#include "memory.h"
#include "threads.h"

namespace nam {
namespace {

// The kernels of one instruction set. A backward pass must use the one that wrote the record.
struct Kernels {
    decltype(&baseline::lstm_plan) plan;
    decltype(&baseline::lstm_pack) pack;
    decltype(&baseline::lstm_forward) forward;
    decltype(&baseline::lstm_backward) backward;
    decltype(&baseline::lstm_collect) collect;
};

#define NAM_LSTM_KERNELS(set) \
    Kernels { set::lstm_plan, set::lstm_pack, set::lstm_forward, set::lstm_backward, set::lstm_collect }

Kernels kernels(Isa set) {
#ifdef NAM_X86
    if (set == Isa::avx512) return NAM_LSTM_KERNELS(avx512);
    if (set == Isa::avx2) return NAM_LSTM_KERNELS(avx2);
#endif
    (void)set;
    return NAM_LSTM_KERNELS(baseline);
}

// Half of a vector of 16 would be idle with 8 units or fewer.
Isa best_for(int hidden) { return isa() == Isa::avx512 && hidden <= 8 ? Isa::avx2 : isa(); }

size_t rounded(size_t floats) { return (floats + 15) / 16 * 16; }  // to whole cache lines

}  // namespace
}  // namespace nam

using nam::LstmCall;
using nam::LstmGradients;

// The instruction set for nets of this size: what nam_lstm_forward and nam_lstm_backward take as `set`.
NAM_API int nam_lstm_set(int hidden) { return static_cast<int>(nam::best_for(hidden)); }

// A record for one forward pass, to be given back with nam_give_buffer; null without memory.
NAM_API float* nam_lstm_record(int set, const LstmCall* call) {
    return nam::take_buffer(nam::kernels(static_cast<nam::Isa>(set)).plan(*call).record);
}

// 0, or −1 without memory.
NAM_API int nam_lstm_forward(int set, const LstmCall* call, int threads) {
    const nam::Kernels run = nam::kernels(static_cast<nam::Isa>(set));
    const nam::LstmPlan plan = run.plan(*call);
    const int parts = std::max(1, std::min(threads, call->batch));
    const size_t scratch = nam::rounded(plan.forward_scratch * ((call->batch + parts - 1) / parts));
    const nam::HeldBuffer packed(plan.weights), memory(scratch * parts);
    if (!packed.data() || !memory.data()) return -1;
    run.pack(*call, packed.data());
    nam::parallel_for(threads, parts, [&](int part, int worker) {
        const int first = call->batch * part / parts, last = call->batch * (part + 1) / parts;
        run.forward(*call, packed.data(), first, last, memory.data() + worker * scratch);
    });
    return 0;
}

// 0, or −1 without memory.
NAM_API int nam_lstm_backward(int set, const LstmCall* call, const LstmGradients* gradients, int threads) {
    const nam::Kernels run = nam::kernels(static_cast<nam::Isa>(set));
    const nam::LstmPlan plan = run.plan(*call);
    const int workers = std::max(1, std::min(threads, plan.tasks));
    const size_t scratch = nam::rounded(plan.backward_scratch);
    const nam::HeldBuffer packed(plan.weights), sums(plan.gradient * plan.tasks), memory(scratch * workers);
    if (!packed.data() || !sums.data() || !memory.data()) return -1;
    run.pack(*call, packed.data());
    std::memset(sums.data(), 0, plan.gradient * plan.tasks * sizeof(float));
    nam::parallel_for(workers, plan.tasks, [&](int task, int worker) {
        run.backward(*call, *gradients, packed.data(), task, sums.data() + task * plan.gradient,
                     memory.data() + worker * scratch);
    });
    run.collect(*call, *gradients, sums.data(), plan.tasks);
    return 0;
}
