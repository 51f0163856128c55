#include "wavenet_stages.h"

#include <atomic>
#include <numeric>
#include <thread>

#include "threads.h"

namespace nam {
namespace {

// What an item's way through one part costs.
double work(const WaveNetPart& part, ptrdiff_t length) {
    return part.work * static_cast<double>(std::max<ptrdiff_t>(length - part.start, 0));
}

// Consecutive parts that together cost no more than `limit`, or a single one.
std::vector<PartSpan> spans_within(const WaveNet& net, ptrdiff_t length, double limit) {
    std::vector<PartSpan> spans{{0, 0}};
    double sum = 0;
    for (int i = 0; i < net.parts; ++i) {
        const double cost = work(net.part[i], length);
        if (sum + cost > limit && spans.back().last > spans.back().first) {
            spans.push_back({i, i});
            sum = 0;
        }
        sum += cost;
        spans.back().last = i + 1;
    }
    return spans;
}

// Cuts the parts into at most `count` spans, so that the one which costs most costs as little as possible.
std::vector<PartSpan> cut(const WaveNet& net, ptrdiff_t length, int count) {
    double low = 0, high = 0;
    for (int i = 0; i < net.parts; ++i) high += work(net.part[i], length);
    for (int step = 0; step < 40; ++step) {
        const double limit = (low + high) / 2;
        if (spans_within(net, length, limit).size() > static_cast<size_t>(count)) low = limit;
        else high = limit;
    }
    return spans_within(net, length, high);
}

double most_work(const WaveNet& net, ptrdiff_t length, const std::vector<PartSpan>& spans) {
    double most = 0;
    for (const PartSpan& span : spans) {
        double sum = 0;
        for (int i = span.first; i < span.last; ++i) sum += work(net.part[i], length);
        most = std::max(most, sum);
    }
    return most;
}

// How many chunks a stage is through with; each on a line of the cache of its own.
class alignas(64) Progress {
public:
    void publish(long chunks) { done_.store(chunks, std::memory_order_release); }
    // Chunks take some ten microseconds, too short to fall asleep; but who runs on a busy machine lets others on.
    void wait_for(long chunks) const {
        for (int tries = 0; done_.load(std::memory_order_acquire) < chunks; ++tries)
            if (tries > 2000) std::this_thread::yield();
    }

private:
    std::atomic<long> done_{0};
};

void run_line(const Stages& stages, int task, int worker, int batch, int chunks, std::vector<Progress>& progress,
              const std::function<void(const Turn&)>& take) {
    const int group = task % stages.groups, stage = task / stages.groups, count = stages.count();
    const auto of = [&](int other) -> Progress& { return progress[other * stages.groups + group]; };
    long done = 0;
    for (int item = group, turn = 0; item < batch; item += stages.groups, ++turn) {
        // A slot is free when the last stage is through with the item before the last.
        if (stage == 0 && turn >= 2) of(count - 1).wait_for(static_cast<long>(turn - 1) * chunks);
        for (int chunk = 0; chunk < chunks; ++chunk) {
            if (stage > 0) of(stage - 1).wait_for(done + 1);
            take({item, stage, chunk, worker, 2 * group + turn % 2});
            of(stage).publish(++done);
        }
    }
}

}  // namespace

Stages divide(const WaveNet& net, ptrdiff_t batch, ptrdiff_t length, int threads) {
    Stages plain{static_cast<int>(batch), {{0, net.parts}}};
    if (threads <= 1 || batch % threads == 0) return plain;
    const int groups = std::gcd(static_cast<int>(batch), threads);
    Stages line{groups, cut(net, length, threads / groups)};
    const double whole = most_work(net, length, plain.span), stage = most_work(net, length, line.span);
    // A tenth for handing over.
    const double rounds = static_cast<double>((batch + threads - 1) / threads);
    const double items = static_cast<double>(batch) / groups;
    return line.count() > 1 && 1.1 * items * stage < rounds * whole ? line : plain;
}

void run_stages(const Stages& stages, int threads, int batch, int chunks,
                const std::function<void(const Turn&)>& take) {
    if (stages.count() == 1) {
        parallel_for(threads, batch, [&](int item, int worker) {
            for (int chunk = 0; chunk < chunks; ++chunk) take({item, 0, chunk, worker, worker});
        });
        return;
    }
    // Every line needs its threads at the same time, so no task may wait for a thread: there are no more tasks than
    // threads, and a stage's task is begun after that of the stage before it.
    std::vector<Progress> progress(static_cast<size_t>(stages.groups) * stages.count());
    parallel_for(threads, stages.groups * stages.count(), [&](int task, int worker) {
        run_line(stages, task, worker, batch, chunks, progress, take);
    });
}

}  // namespace nam
