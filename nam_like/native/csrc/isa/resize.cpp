// Maps at half and at twice their size. Compilers turn the loops over even and odd columns into vectors.
#include "../resize.h"

#include "vec.h"

namespace nam::NAM_ISA {
namespace {

// One row at twice its width.
NAM_INLINE void double_row(const float* __restrict x, float* __restrict y, ptrdiff_t n) {
    y[0] = x[0];
    y[2 * n - 1] = x[n - 1];
    for (ptrdiff_t j = 0; j + 1 < n; ++j) {
        y[2 * j + 1] = 0.75f * x[j] + 0.25f * x[j + 1];
        y[2 * j + 2] = 0.25f * x[j] + 0.75f * x[j + 1];
    }
}

// Its transpose: x is overwritten.
NAM_INLINE void double_row_back(const float* __restrict y, float* __restrict x, ptrdiff_t n) {
    if (n == 1) {
        x[0] = y[0] + y[1];
        return;
    }
    x[0] = y[0] + 0.75f * y[1] + 0.25f * y[2];
    for (ptrdiff_t j = 1; j + 1 < n; ++j)
        x[j] = 0.25f * (y[2 * j - 1] + y[2 * j + 2]) + 0.75f * (y[2 * j] + y[2 * j + 1]);
    x[n - 1] = 0.25f * y[2 * n - 3] + 0.75f * y[2 * n - 2] + y[2 * n - 1];
}

// The row of the smaller map on the far side of a row of the larger one, which counts a quarter.
NAM_INLINE ptrdiff_t far_row(ptrdiff_t row, ptrdiff_t height) {
    const ptrdiff_t far = row / 2 + (row % 2 ? 1 : -1);
    return far < 0 ? 0 : far >= height ? height - 1 : far;
}

}  // namespace

void halve_plane(const float* x, float* y, ptrdiff_t height, ptrdiff_t width) {
    for (ptrdiff_t i = 0; i < height; ++i) {
        const float* __restrict above = x + 4 * i * width;
        const float* __restrict below = above + 2 * width;
        float* __restrict to = y + i * width;
        for (ptrdiff_t j = 0; j < width; ++j)
            to[j] = 0.25f * ((above[2 * j] + above[2 * j + 1]) + (below[2 * j] + below[2 * j + 1]));
    }
}

void halve_plane_back(const float* dy, float* dx, ptrdiff_t height, ptrdiff_t width) {
    for (ptrdiff_t i = 0; i < height; ++i) {
        const float* __restrict from = dy + i * width;
        float* __restrict to = dx + 4 * i * width;
        for (ptrdiff_t j = 0; j < width; ++j) to[2 * j] = to[2 * j + 1] = 0.25f * from[j];
        std::memcpy(to + 2 * width, to, static_cast<size_t>(2 * width) * sizeof(float));
    }
}

void double_plane(const float* x, float* y, ptrdiff_t height, ptrdiff_t width, ptrdiff_t valid, float* row) {
    for (ptrdiff_t i = 0; i < 2 * height; ++i) {
        const float* __restrict near = x + i / 2 * width;
        const float* __restrict far = x + far_row(i, height) * width;
        for (ptrdiff_t j = 0; j < width; ++j) row[j] = 0.75f * near[j] + 0.25f * far[j];
        float* to = y + 2 * i * width;
        double_row(row, to, width);
        for (ptrdiff_t j = valid; j < 2 * width; ++j) to[j] = 0.0f;
    }
}

void double_plane_back(const float* dy, float* dx, ptrdiff_t height, ptrdiff_t width, ptrdiff_t valid, float* row) {
    std::memset(dx, 0, static_cast<size_t>(height * width) * sizeof(float));
    float* narrow = row + 2 * width;
    for (ptrdiff_t i = 0; i < 2 * height; ++i) {
        const float* from = dy + 2 * i * width;
        if (valid < 2 * width) {
            for (ptrdiff_t j = 0; j < 2 * width; ++j) row[j] = j < valid ? from[j] : 0.0f;
            from = row;
        }
        double_row_back(from, narrow, width);
        const ptrdiff_t far = far_row(i, height);
        float* __restrict to = dx + i / 2 * width;
        for (ptrdiff_t j = 0; j < width; ++j) to[j] += 0.75f * narrow[j];
        to = dx + far * width;
        for (ptrdiff_t j = 0; j < width; ++j) to[j] += 0.25f * narrow[j];
    }
}

}  // namespace nam::NAM_ISA
