// Maps at half and at twice their size, and the gradients of both.
//
//     half:    y[i][j] = mean of x[2i … 2i + 1][2j … 2j + 1]
//     double:  bilinear; y[2i] = ¼ x[i − 1] + ¾ x[i], y[2i + 1] = ¾ x[i] + ¼ x[i + 1] along both axes, where x goes on
//              beyond its border with the border's value
#pragma once
#include <cstddef>

#include "dispatch.h"

// Planes: `height` × `width` is the size of the smaller one.
NAM_KERNEL(void, halve_plane, (const float* x, float* y, ptrdiff_t height, ptrdiff_t width))
NAM_KERNEL(void, halve_plane_back, (const float* dy, float* dx, ptrdiff_t height, ptrdiff_t width))
// Columns from `valid` on become zero; backward they count as nothing. `row` is memory for 3 · width floats.
NAM_KERNEL(void, double_plane,
           (const float* x, float* y, ptrdiff_t height, ptrdiff_t width, ptrdiff_t valid, float* row))
NAM_KERNEL(void, double_plane_back,
           (const float* dy, float* dx, ptrdiff_t height, ptrdiff_t width, ptrdiff_t valid, float* row))
