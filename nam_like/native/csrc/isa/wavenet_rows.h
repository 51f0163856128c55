// Small things that the forward and the backward pass share: addressing rows, and lists of shifted rows.
#pragma once
#include "../wavenet.h"
#include "mix_rows.h"

namespace nam::NAM_ISA {

NAM_INLINE ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
NAM_INLINE ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

// Rows of one sample, `stride` floats apart.
template <class Float>
struct Table {
    Float* first;
    ptrdiff_t stride;
    Float* operator()(int row) const { return first + row * stride; }
};

// Asks for samples [t, t + n) of some rows to be brought to the second level of cache, while something else is
// computed: rows are too many for the processor to guess which comes next.
NAM_INLINE void fetch_rows(Table<const float> table, int row, int count, ptrdiff_t t, ptrdiff_t n) {
    for (int i = 0; i < count; ++i)
        for (const float *p = table(row + i) + t, *end = p + n; p < end; p += 16) __builtin_prefetch(p, 0, 2);
}

// The same for rows that will be written.
NAM_INLINE void fetch_rows_to_write(Table<float> table, int row, int count, ptrdiff_t t, ptrdiff_t n) {
    for (int i = 0; i < count; ++i)
        for (float *p = table(row + i) + t, *end = p + n; p < end; p += 16) __builtin_prefetch(p, 1, 2);
}

// Fills a list with consecutive rows; returns where the list goes on.
template <class Float, class Pointer>
NAM_INLINE Pointer* list_rows(Table<Float> table, int row, int count, Pointer* list) {
    for (int i = 0; i < count; ++i) *list++ = table(row + i);
    return list;
}

// Each row once per tap, the oldest first: the sources of a causal convolution, in the order of its weights.
template <class Float, class Pointer>
NAM_INLINE Pointer* list_taps(Table<Float> table, int row, int count, int kernel, ptrdiff_t dilation,
                              Pointer* list) {
    for (int i = 0; i < count; ++i)
        for (int k = 0; k < kernel; ++k) *list++ = table(row + i) - (kernel - 1 - k) * dilation;
    return list;
}

// The same towards the future: what the gradient of a convolution's input reads.
template <class Float, class Pointer>
NAM_INLINE Pointer* list_future_taps(Table<Float> table, int row, int count, int kernel, ptrdiff_t dilation,
                                     Pointer* list) {
    for (int i = 0; i < count; ++i)
        for (int k = 0; k < kernel; ++k) *list++ = table(row + i) + (kernel - 1 - k) * dilation;
    return list;
}

}  // namespace nam::NAM_ISA
