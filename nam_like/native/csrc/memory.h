// Large buffers that outlive a training step.
//
// What the forward pass keeps for the backward pass is hundreds of megabytes. Given back to the operating system
// after every step, each page would have to be mapped and zeroed again; kept in a list, it costs nothing.
#pragma once
#include <cstddef>

namespace nam {

// Memory for `floats` floats, aligned to 64 bytes, with unspecified content; null when there is none.
float* take_buffer(size_t floats);
// Puts a buffer back into the list; null is fine.
void give_buffer(float* buffer);
// Puts a new buffer of that size into the list, and has the system find its pages. Whoever needs it meanwhile may take
// it: what is written there stays. False where the system cannot do that, or there is no memory.
bool reserve_buffer(size_t floats);
// Frees the buffers that nobody holds.
void drop_free_buffers();
// From here on, how many bytes of buffers are held at the same time; begins without free ones, which may be larger
// than what takes them.
void watch_buffers();
size_t most_buffer_bytes();

// A buffer that is given back at the end of a scope; its data is null when there is no memory.
class HeldBuffer {
public:
    explicit HeldBuffer(size_t floats) : data_(take_buffer(floats)) {}
    ~HeldBuffer() { give_buffer(data_); }
    HeldBuffer(const HeldBuffer&) = delete;
    HeldBuffer& operator=(const HeldBuffer&) = delete;
    float* data() const { return data_; }

private:
    float* data_;
};

}  // namespace nam
