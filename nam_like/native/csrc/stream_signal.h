// Rows of samples between two operations of the streaming player, with as much past as somebody reads.
//
// A signal whose past nobody reads is one block of scratch memory. The others are rings whose first samples stand
// a second time behind the end, so that a block can be written and read from any position in one piece:
//
//     0 ──────────────────────────── ring │ ring + block + pad
//     ▲ the first STREAM_BLOCK samples    ▲ again
//
// A write that passes the end is copied to the front, a write at the front is copied behind the end; that is
// all the moving there is, and it costs the same at every position.
//
// Kernels write whole vectors, up to STREAM_PAD samples too many. The ring is long enough for these to fall on
// samples that are older than anybody reads.
#pragma once
#include <cstddef>

#include "stream_kernels.h"

namespace nam::stream {

class Signal {
public:
    explicit Signal(int rows) : rows_(rows) {}

    int rows() const { return rows_; }
    // Asks for `samples` of past; before the memory is laid out.
    void remember(ptrdiff_t samples);
    bool is_ring() const { return history_ > 0; }
    ptrdiff_t floats() const;            // memory that it needs
    void place(float* memory) { data_ = memory; }

    // The block's samples, delayed by `delay`.
    SourceRows read(int row, int count, ptrdiff_t delay = 0) const;
    TargetRows write(int row, int count) const { return {data_ + row * stride_ + at_, stride_, count}; }
    // To be called after writing n samples into rows, before anybody reads them.
    void wrote(int row, int count, int n);
    // The next block begins n samples later.
    void advance(int n);

    ptrdiff_t position() const { return at_; }
    void set_position(ptrdiff_t at) { at_ = at; }

private:
    int rows_;
    ptrdiff_t history_ = 0, ring_ = 0, stride_ = STREAM_BLOCK + STREAM_PAD, at_ = 0;
    float* data_ = nullptr;
};

}  // namespace nam::stream
