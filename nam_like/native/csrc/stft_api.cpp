// Multi-resolution STFT distance of a batch, with its gradient: work for the threads, and what becomes of it.
//
// The frames of all items are cut into runs of consecutive frames, a run per lane of a vector and a group of runs
// per task. How they are cut depends on the sizes alone, and the groups' sums are added in their order, so that the
// result does not depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "api.h"
#include "memory.h"
#include "stft_plan.h"
#include "threads.h"

namespace nam {
namespace {

// Frames per run. The samples under a run are read once; short runs read more, long ones leave less to share.
constexpr int RUN_FRAMES = 8;

// What does not change within a call.
struct Batch {
    const float* prediction;
    const float* target;
    int64_t items, samples;
};

// How the frames of one resolution are shared among runs and groups.
struct Resolution {
    const StftPlan* plan;
    int64_t frames;        // per item
    int run_frames;        // per run; the last run of an item may have fewer
    int64_t item_runs;     // runs per item
    int64_t groups;
    int64_t row;           // floats of a run's gradient by one term
    float* gradients;      // per run 2 rows, or null
    StftSums sums;

    double count(const Batch& batch) const {
        return static_cast<double>(batch.items) * static_cast<double>(frames) * (plan->half + 1);
    }
    int64_t begin(int64_t run) const { return run * run_frames * plan->hop - plan->lead; }  // run within the item
    int frames_of(int64_t run) const {
        return static_cast<int>(std::clamp<int64_t>(frames - run * run_frames, 0, run_frames));
    }
};

Resolution share_out(const StftPlan* plan, const Batch& batch, int lanes) {
    Resolution r = {};
    r.plan = plan;
    r.frames = 1 + batch.samples / plan->hop;
    const int64_t runs = batch.items * ((r.frames + RUN_FRAMES - 1) / RUN_FRAMES);
    r.groups = (runs + lanes - 1) / lanes;
    r.item_runs = r.groups * lanes / batch.items;  // fill every lane of the last group
    r.run_frames = static_cast<int>((r.frames + r.item_runs - 1) / r.item_runs);
    r.item_runs = (r.frames + r.run_frames - 1) / r.run_frames;
    r.groups = (batch.items * r.item_runs + lanes - 1) / lanes;
    r.row = stft_row(*plan, r.run_frames);
    return r;
}

StftSums run_group(const Resolution& r, const Batch& batch, int64_t group, int lanes, float* scratch) {
    StftRun runs[64] = {};
    for (int l = 0; l < lanes; ++l) {
        const int64_t run = group * lanes + l, item = run / r.item_runs, within = run % r.item_runs;
        if (item >= batch.items) {
            runs[l] = runs[0];
            runs[l].frames = 0;
            continue;
        }
        const float *prediction = batch.prediction + item * batch.samples, *target = batch.target + item * batch.samples;
        runs[l] = {prediction, target, r.begin(within), r.frames_of(within)};
    }
    float* gradient = r.gradients ? r.gradients + group * lanes * 2 * r.row : nullptr;
    return NAM_CALL(stft_group)(*r.plan, runs, r.run_frames, batch.samples, scratch, gradient);
}

// Adds a resolution's part of an item's gradient to `out`. `padded` has samples + 2·lead + row floats.
void add_gradient(const Resolution& r, const Batch& batch, int64_t item, double share, float* padded, float* out) {
    const int64_t lead = r.plan->lead, samples = batch.samples;
    const double norm = std::sqrt(r.sums.difference) * std::sqrt(r.sums.target);
    const auto a = static_cast<float>(norm == 0.0 ? 0.0 : share / norm);  // NaN stays NaN
    const auto b = static_cast<float>(share / r.count(batch));
    std::fill(padded, padded + samples + 2 * lead + r.row, 0.0f);
    for (int64_t run = 0; run < r.item_runs; ++run) {
        const float* by_difference = r.gradients + (item * r.item_runs + run) * 2 * r.row;
        const float* by_log = by_difference + r.row;
        float* at = padded + lead + r.begin(run);
        const int64_t span = stft_span(*r.plan, r.frames_of(run));
        for (int64_t t = 0; t < span; ++t) at[t] += a * by_difference[t] + b * by_log[t];
    }
    const float* middle = padded + lead;
    for (int64_t t = 0; t < samples; ++t) out[t] += middle[t];
    for (int64_t t = 1; t <= lead; ++t) {  // reflections give back to the samples that they show
        out[t] += middle[-t];
        out[samples - 1 - t] += middle[samples - 1 + t];
    }
}

// x[n] − c·x[n − 1], one sample shorter.
void emphasise(const float* x, int64_t items, int64_t samples, float c, float* out) {
    for (int64_t item = 0; item < items; ++item, x += samples, out += samples - 1)
        for (int64_t n = 1; n < samples; ++n) out[n - 1] = x[n] - c * x[n - 1];
}

// Its adjoint for one item: `in` has samples − 1 values.
void emphasise_adjoint(const float* in, int64_t samples, float c, float* out) {
    out[0] = -c * in[0];
    for (int64_t n = 1; n < samples - 1; ++n) out[n] = in[n - 1] - c * in[n];
    out[samples - 1] = in[samples - 2];
}

// A call's memory: pieces of one buffer.
class Workspace {
public:
    explicit Workspace(size_t floats) : buffer_(take_buffer(floats)), free_(buffer_) {}
    ~Workspace() { give_buffer(buffer_); }
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;
    explicit operator bool() const { return buffer_ != nullptr; }
    static size_t padded(size_t floats) { return (floats + 15) / 16 * 16; }
    float* piece(size_t floats) {
        float* piece = free_;
        free_ += padded(floats);
        return piece;
    }

private:
    float *buffer_, *free_;
};

struct Task {
    size_t resolution;
    int64_t group;
    StftSums sums;
};

// All groups, those of the largest transforms first, so that none of them is left over for one thread at the end.
std::vector<Task> list_tasks(const std::vector<Resolution>& resolutions) {
    std::vector<Task> tasks;
    for (size_t i = 0; i < resolutions.size(); ++i)
        for (int64_t group = 0; group < resolutions[i].groups; ++group) tasks.push_back({i, group, {}});
    std::stable_sort(tasks.begin(), tasks.end(), [&](const Task& a, const Task& b) {
        return resolutions[a.resolution].plan->points > resolutions[b.resolution].plan->points;
    });
    return tasks;
}

// Runs all groups; the sums end up in `resolutions`.
void run_tasks(std::vector<Resolution>& resolutions, const Batch& batch, int lanes, int threads, float* scratch,
               size_t scratch_each) {
    std::vector<Task> tasks = list_tasks(resolutions);
    parallel_for(threads, static_cast<int>(tasks.size()), [&](int index, int worker) {
        Task& task = tasks[index];
        task.sums = run_group(resolutions[task.resolution], batch, task.group, lanes,
                              scratch + static_cast<size_t>(worker) * scratch_each);
    });
    for (const Task& task : tasks) {
        StftSums& sums = resolutions[task.resolution].sums;
        sums.difference += task.sums.difference;
        sums.target += task.sums.target;
        sums.log += task.sums.log;
    }
}

double distance(const std::vector<Resolution>& resolutions, const Batch& batch) {
    double total = 0.0;
    for (const Resolution& r : resolutions)
        total += std::sqrt(r.sums.difference) / std::sqrt(r.sums.target) + r.sums.log / r.count(batch);
    return total / static_cast<double>(resolutions.size());
}

struct Options {
    bool emphasis;
    float coefficient;
    int threads;
};

// Loss, and gradient unless `gradient` is null; false without memory.
bool mrstft(std::vector<Resolution>& resolutions, Batch batch, const Options& options, int lanes, double* loss,
            float* gradient) {
    const size_t signal = static_cast<size_t>(batch.items * batch.samples);
    const int64_t whole = batch.samples + (options.emphasis ? 1 : 0);
    size_t scratch = 0, floats = options.emphasis ? 2 * Workspace::padded(signal) : 0;
    for (const Resolution& r : resolutions) {
        scratch = std::max(scratch, NAM_CALL(stft_scratch)(*r.plan, r.run_frames, gradient != nullptr));
        if (!gradient) continue;
        const auto rows = static_cast<size_t>(r.groups * lanes * 2 * r.row);
        floats += Workspace::padded(rows);
        scratch = std::max(scratch, static_cast<size_t>(2 * batch.samples + 2 * r.plan->lead + r.row));
    }
    scratch = Workspace::padded(scratch);
    Workspace memory(floats + scratch * static_cast<size_t>(options.threads));
    if (!memory) return false;

    if (options.emphasis) {
        float *prediction = memory.piece(signal), *target = memory.piece(signal);
        emphasise(batch.prediction, batch.items, whole, options.coefficient, prediction);
        emphasise(batch.target, batch.items, whole, options.coefficient, target);
        batch.prediction = prediction;
        batch.target = target;
    }
    if (gradient)
        for (Resolution& r : resolutions) r.gradients = memory.piece(static_cast<size_t>(r.groups * lanes * 2 * r.row));
    float* each = memory.piece(scratch * static_cast<size_t>(options.threads));
    run_tasks(resolutions, batch, lanes, options.threads, each, scratch);
    *loss = distance(resolutions, batch);
    if (!gradient) return true;

    const double share = 1.0 / static_cast<double>(resolutions.size());
    parallel_for(options.threads, static_cast<int>(batch.items), [&](int item, int worker) {
        float *mine = each + static_cast<size_t>(worker) * scratch, *out = gradient + item * whole;
        float *sum = options.emphasis ? mine : out, *padded = mine + batch.samples;
        std::fill(sum, sum + batch.samples, 0.0f);
        for (const Resolution& r : resolutions) add_gradient(r, batch, item, share, padded, sum);
        if (options.emphasis) emphasise_adjoint(sum, whole, options.coefficient, out);
    });
    return true;
}

}  // namespace
}  // namespace nam

// Smallest FFT that nam_mrstft takes; all must be powers of two.
NAM_API int nam_mrstft_least_fft() { return nam::LEAST_FFT; }

// Distance of two (items, samples) signals; `sizes` is (resolutions, 3): FFT, hop, window. With `gradient`, that of
// the distance with respect to the prediction, like it in shape. `emphasis` below zero stands for none. Returns 0,
// −1 without memory, −2 for sizes that there is no kernel for.
NAM_API int nam_mrstft(const float* prediction, const float* target, int64_t items, int64_t samples,
                       const int32_t* sizes, int resolutions, float least, float emphasis, int threads, double* loss,
                       float* gradient) {
    const bool emphasised = emphasis >= 0.0f;
    const nam::Batch batch = {prediction, target, items, samples - (emphasised ? 1 : 0)};
    const int lanes = NAM_CALL(stft_lanes)();
    std::vector<nam::Resolution> shared;
    for (int i = 0; i < resolutions; ++i) {
        const nam::StftPlan* plan = nam::stft_plan(sizes[3 * i], sizes[3 * i + 1], sizes[3 * i + 2], least);
        if (!plan || batch.samples <= plan->half || items < 1) return -2;
        shared.push_back(nam::share_out(plan, batch, lanes));
    }
    if (shared.empty()) return -2;
    const nam::Options options = {emphasised, emphasis, std::max(threads, 1)};
    return nam::mrstft(shared, batch, options, lanes, loss, gradient) ? 0 : -1;
}
