// A pool of threads of our own.
//
// PyTorch's OpenMP threads sleep while a kernel of ours runs, and ours sleep while PyTorch computes, so the two
// pools never compete. The caller says how many threads a job may take (torch.get_num_threads()), and works
// itself as one of them.
#pragma once
#include <functional>

namespace nam {

// Calls task(index, worker) for index = 0 … count − 1, in any order, on up to `threads` threads; `worker` is in
// [0, threads). Returns when all are done. Tasks must not call it again.
void parallel_for(int threads, int count, const std::function<void(int index, int worker)>& task);

// How many of the wanted threads parallel_for can have at the same time: as many, unless the system refuses them.
int available_threads(int wanted);

}  // namespace nam
