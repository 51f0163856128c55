#include "memory.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>

#include <sys/mman.h>

#include "api.h"

namespace nam {
namespace {

constexpr size_t ALIGNMENT = 64;
constexpr size_t HUGE_PAGE = size_t{1} << 21;

std::mutex mutex;
// Both are leaked on purpose: buffers may be given back while the process ends.
auto& free_buffers = *new std::multimap<size_t, float*>;         // capacity in bytes → buffer
auto& used_buffers = *new std::unordered_map<float*, size_t>;    // buffer → capacity in bytes
size_t held_bytes = 0, most_bytes = 0;                           // in use now, and at most since watch_buffers

float* allocate(size_t bytes) {
    void* memory = nullptr;
    const size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    if (posix_memalign(&memory, alignment, bytes) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_PAGE) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return static_cast<float*>(memory);
}

// Rounded up so that buffers of almost the same size can take each other's place.
size_t rounded(size_t wanted) {
    const size_t unit = wanted >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    return (wanted + unit - 1) / unit * unit;
}

// Has the system find the pages of `memory` now; their content stays as it is.
bool populate(char* memory, size_t bytes) {
#ifdef MADV_POPULATE_WRITE
    // Step by step: while the system is at it, nobody else can ask it for memory.
    for (size_t at = 0; at + HUGE_PAGE <= bytes; at += HUGE_PAGE)
        if (madvise(memory + at, HUGE_PAGE, MADV_POPULATE_WRITE) != 0) return false;
    return true;
#else
    (void)memory, (void)bytes;
    return false;
#endif
}

void hold_locked(float* buffer, size_t bytes) {
    used_buffers[buffer] = bytes;
    held_bytes += bytes;
    most_bytes = std::max(most_bytes, held_bytes);
}

void drop_locked() {
    for (auto& entry : free_buffers) std::free(entry.second);
    free_buffers.clear();
}

}  // namespace

float* take_buffer(size_t floats) {
    const size_t wanted = std::max(floats * sizeof(float), ALIGNMENT);
    std::lock_guard<std::mutex> lock(mutex);
    auto found = free_buffers.lower_bound(wanted);
    // A buffer more than twice as large would be held by somebody who needs little of it.
    if (found != free_buffers.end() && found->first <= 2 * wanted) {
        float* buffer = found->second;
        hold_locked(buffer, found->first);
        free_buffers.erase(found);
        return buffer;
    }
    const size_t bytes = rounded(wanted);
    // A run asks for the same few sizes; sizes that nobody asks for any more are let go.
    if (free_buffers.size() >= 8) drop_locked();
    float* buffer = allocate(bytes);
    if (!buffer) {
        drop_locked();
        buffer = allocate(bytes);
    }
    if (buffer) hold_locked(buffer, bytes);
    return buffer;
}

void give_buffer(float* buffer) {
    if (!buffer) return;
    std::lock_guard<std::mutex> lock(mutex);
    auto found = used_buffers.find(buffer);
    if (found == used_buffers.end()) return;
    free_buffers.emplace(found->second, buffer);
    held_bytes -= found->second;
    used_buffers.erase(found);
}

bool reserve_buffer(size_t floats) {
    const size_t bytes = rounded(std::max(floats * sizeof(float), HUGE_PAGE));
    float* buffer = allocate(bytes);
    if (!buffer) return false;
    {
        std::lock_guard<std::mutex> lock(mutex);
        free_buffers.emplace(bytes, buffer);
    }
    return populate(reinterpret_cast<char*>(buffer), bytes);
}

void watch_buffers() {
    std::lock_guard<std::mutex> lock(mutex);
    drop_locked();
    most_bytes = held_bytes;
}

size_t most_buffer_bytes() {
    std::lock_guard<std::mutex> lock(mutex);
    return most_bytes;
}

void drop_free_buffers() {
    std::lock_guard<std::mutex> lock(mutex);
    drop_locked();
}

}  // namespace nam

NAM_API void nam_give_buffer(float* buffer) { nam::give_buffer(buffer); }
NAM_API void nam_drop_free_buffers() { nam::drop_free_buffers(); }
NAM_API void nam_watch_buffers() { nam::watch_buffers(); }
NAM_API int64_t nam_most_buffer_bytes() { return static_cast<int64_t>(nam::most_buffer_bytes()); }
