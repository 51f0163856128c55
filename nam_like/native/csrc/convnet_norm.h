// Batch normalisation of a ConvNet, as far as it is not arithmetic on rows: from statistics to what the kernels
// take, and from sums over samples to statistics and gradients. All of it in double precision.
#pragma once
#include "convnet.h"

namespace nam {

// Per row of a net: mean, variance (of all values, not of a sample of them) and ε, each `rows` numbers. Rows without
// normalisation have unspecified ones.
struct Statistics {
    double *mean, *variance;
    const double* epsilon;
};

// What the kernels make of statistics and weights; the identity for a layer without normalisation.
void set_normals(const ConvNetLayer& layer, const float* weights, const Statistics& statistics, Normal* normals);

// Mean and variance over a batch from the moments of its samples, each of `count` values per row, in their order.
void gather_moments(const ConvNetLayer& layer, const Moments* moments, int rows, ptrdiff_t batch, ptrdiff_t count,
                    const Statistics& statistics);

// Adds the sums of a batch's samples up, in their order: the gradients of bias, γ and β, which it writes to
// weight_gradients. With statistics of the batch (of `count` values in all, otherwise 0), what they take from dz.
void gather_gradients(const ConvNetLayer& layer, const GradientSums* sums, int rows, ptrdiff_t batch, double count,
                      const Statistics& statistics, float* weight_gradients, NormalGradient* normal_gradients);

}  // namespace nam
