// Group norm, SiLU and a 3×3 convolution of maps, as one operation:
//
//     a = silu(γ · (x − mean) / deviation + β)
//     y = scale · (conv(a) + bias + skip),  zero behind the valid columns
//
// Maps are (batch, channels, height, width); columns run along the vectors. `a` is never stored: the rows that a tile
// needs are made when it needs them, forward and backward.
//
// The convolution goes through Winograd's minimal filtering F(4, 3) along the height (A. Lavin & S. Gray, "Fast
// Algorithms for Convolutional Neural Networks", 2015, in one dimension): four output rows are combinations of six
// products, and each product is a convolution of three taps along the width, of one combination of six input rows. That
// is 18 multiply-adds for what takes 36. The products are mix_rows (and in the gradient of the weights dot_rows), and
// the combinations are sums of whole rows. Along the width as well it would save as much again, but work across lanes.
#pragma once
#include <cstddef>
#include <cstdint>

#include "convnet.h"
#include "dispatch.h"

namespace nam {

inline constexpr int PRODUCTS = 6;    // of rows
inline constexpr int GROUP_ROWS = 4;  // output rows that they give

struct NormConv {
    int batch, inputs, outputs, groups, height, width;
    float scale;
    const float *x, *gamma, *beta;
    const float* weight;   // (outputs, inputs, 3, 3)
    const float* bias;     // (batch, outputs)
    const float* skip;     // like y, or null
    const int64_t* valid;  // columns of each item, or null
    float* statistics;     // (batch, groups, 2): mean and 1 / deviation
    float* y;              // (batch, outputs, height, width)
};

struct NormConvGradients {
    const float* z;           // of conv(a) + bias + skip
    float* x;
    float *gamma, *beta;      // (inputs)
    float* weight;            // (outputs, inputs, 3, 3)
    float* bias;              // (batch, outputs)
};

// What a task passes through at a time: some groups of rows, and some columns, of one item.
struct MapTiles {
    int groups, columns;        // of a tile; the last ones may be smaller
    int down, across;           // tiles of an item
    int count;                  // of all items
    ptrdiff_t pitch;            // of the rows of products
};

// Tiles whose rows of products are about `length` floats long.
MapTiles map_tiles(const NormConv& call, int length);

}  // namespace nam

// Floats that the packed weights take in one direction.
NAM_KERNEL(size_t, norm_conv_packed_size, (const nam::NormConv& call))
// Packs part 0 ≤ part < parts of the weights.
NAM_KERNEL(void, norm_conv_pack, (const nam::NormConv& call, bool backward, int part, int parts, float* packed))
// Mean and squared deviations of a plane.
NAM_KERNEL(nam::Moments, map_moments, (const float* plane, ptrdiff_t n))
NAM_KERNEL(size_t, norm_conv_scratch, (int inputs, int outputs, const nam::MapTiles& tiles))
NAM_KERNEL(void, norm_conv_forward,
           (const nam::NormConv& call, const float* packed, const nam::MapTiles& tiles, int tile, float* scratch))
// Writes to gradients.x the gradient behind the norm, dn, and for each input channel Σ dn and Σ dn · x̂.
NAM_KERNEL(void, norm_conv_backward,
           (const nam::NormConv& call, const nam::NormConvGradients& gradients, const float* packed,
            const nam::MapTiles& tiles, int tile, float* scratch, nam::GradientSums* sums))
// dx = along · dn + constant + across · x, over a plane; dx is dn.
NAM_KERNEL(void, norm_back_plane,
           (const float* x, float* dx, ptrdiff_t n, float along, float constant, float across))
// Adds what a tile contributes to the gradient of the weights of outputs first ≤ o < last to `sums`; writes theirs of
// the bias to bias[o].
NAM_KERNEL(size_t, norm_conv_sums_size, (int inputs, int outputs))
NAM_KERNEL(void, norm_conv_weights,
           (const nam::NormConv& call, const nam::NormConvGradients& gradients, const nam::MapTiles& tiles, int tile,
            int first, int last, float* scratch, float* sums, float* bias))
// Adds `sums` of these outputs to gradients.weight.
NAM_KERNEL(void, norm_conv_collect,
           (const nam::NormConv& call, const nam::NormConvGradients& gradients, int first, int last, float* sums))
