#include "threads.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include <unistd.h>

namespace nam {
namespace {

struct Job {
    const std::function<void(int, int)>* task;
    int count;
    std::atomic<int> next{0};
    std::atomic<int> running{0};
};

class Pool {
public:
    void run(int threads, int count, const std::function<void(int, int)>& task) {
        std::lock_guard<std::mutex> one_job(job_mutex_);
        Job job{&task, count};
        const int helpers = std::min(grow(std::min(threads, count) - 1), std::min(threads, count) - 1);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            job_ = &job;
            helpers_ = helpers;
            job.running = helpers;
            ++generation_;
        }
        if (helpers > 0) wake_.notify_all();
        drain(job, 0);
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [&] { return job.running == 0; });
        job_ = nullptr;
    }

    // Starts helpers until there are so many, or the system gives no more; returns how many there are.
    int grow(int helpers) {
        std::lock_guard<std::mutex> lock(mutex_);
        try {
            while (static_cast<int>(workers_.size()) < helpers)
                workers_.emplace_back([this, worker = static_cast<int>(workers_.size()) + 1] { work(worker); });
        } catch (const std::system_error&) {
        }
        return static_cast<int>(workers_.size());
    }

private:
    static void drain(Job& job, int worker) {
        for (int index; (index = job.next.fetch_add(1)) < job.count;) (*job.task)(index, worker);
    }

    void work(int worker) {
        long seen = 0;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return generation_ != seen; });
            seen = generation_;
            if (!job_ || worker > helpers_) continue;
            Job& job = *job_;
            lock.unlock();
            drain(job, worker);
            lock.lock();
            if (--job.running == 0) done_.notify_one();
        }
    }

    std::mutex job_mutex_, mutex_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> workers_;
    Job* job_ = nullptr;
    int helpers_ = 0;
    long generation_ = 0;
};

// Threads do not survive a fork: a child process (a data loader's worker) gets a pool of its own. Pools are
// never destroyed, because their threads would have to be joined while the library is unloaded.
Pool& pool() {
    static std::mutex mutex;
    static Pool* pool = nullptr;
    static pid_t owner = 0;
    std::lock_guard<std::mutex> lock(mutex);
    if (!pool || owner != getpid()) {
        pool = new Pool;
        owner = getpid();
    }
    return *pool;
}

}  // namespace

void parallel_for(int threads, int count, const std::function<void(int, int)>& task) {
    if (threads <= 1 || count <= 1) {
        for (int index = 0; index < count; ++index) task(index, 0);
        return;
    }
    pool().run(threads, count, task);
}

int available_threads(int wanted) { return wanted <= 1 ? 1 : std::min(wanted, 1 + pool().grow(wanted - 1)); }

}  // namespace nam
