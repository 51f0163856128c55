// What Python calls for group norm, SiLU and convolution of maps.
#include "norm_conv.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "api.h"
#include "memory.h"
#include "threads.h"

namespace nam {
namespace {

// Floats of a tile's products that stay in a second level of cache, and lengths of rows that keep the loops busy.
constexpr int TILE_FLOATS = 96 * 1024, SHORTEST_ROW = 128, SHORTEST_DOT = 256;
constexpr int MOST_PARTS = 8;                    // of the gradient of weights, which are added in their order
constexpr int OUTPUTS_TOGETHER = 64;             // in the gradient of weights
constexpr size_t SUMS_TOGETHER = size_t{16} << 20;  // floats

int divide_up(int a, int b) { return (a + b - 1) / b; }
size_t rounded(size_t floats) { return (floats + 15) / 16 * 16; }  // to whole cache lines

MapTiles tiles_for(const NormConv& call, int inputs, int outputs, int least) {
    return map_tiles(call, std::max(least, TILE_FLOATS / (PRODUCTS * (inputs + outputs))));
}

// How the gradient of the weights is divided, which depends on the shape alone.
struct WeightTasks {
    MapTiles tiles;
    int outputs, blocks;  // of a task, and tasks that share a tile
    int parts;            // of the tiles
    size_t sums;

    explicit WeightTasks(const NormConv& call) {
        outputs = std::min(call.outputs, OUTPUTS_TOGETHER);
        blocks = divide_up(call.outputs, outputs);
        tiles = tiles_for(call, call.inputs, outputs, SHORTEST_DOT);
        sums = rounded(NAM_CALL(norm_conv_sums_size)(call.inputs, outputs));
        const int fit = static_cast<int>(std::max<size_t>(1, SUMS_TOGETHER / (sums * blocks)));
        parts = std::min({MOST_PARTS, fit, tiles.count});
    }
};

void find_statistics(const NormConv& call, float eps, int threads) {
    const ptrdiff_t n = static_cast<ptrdiff_t>(call.height) * call.width;
    std::vector<Moments> moments(static_cast<size_t>(call.batch) * call.inputs);
    parallel_for(threads, static_cast<int>(moments.size()),
                 [&](int plane, int) { moments[plane] = NAM_CALL(map_moments)(call.x + plane * n, n); });
    const int each = call.inputs / call.groups;
    for (int g = 0; g < call.batch * call.groups; ++g) {
        double mean = 0.0, squares = 0.0;
        for (int c = 0; c < each; ++c) mean += moments[g * each + c].mean / each;
        for (int c = 0; c < each; ++c) {
            const Moments& m = moments[g * each + c];
            squares += m.squares + (m.mean - mean) * (m.mean - mean) * static_cast<double>(n);
        }
        call.statistics[2 * g] = static_cast<float>(mean);
        call.statistics[2 * g + 1] = static_cast<float>(1.0 / std::sqrt(squares / (double(n) * each) + eps));
    }
}

void pack(const NormConv& call, bool backward, int threads, float* packed) {
    parallel_for(threads, threads,
                 [&](int part, int) { NAM_CALL(norm_conv_pack)(call, backward, part, threads, packed); });
}

// From Σ dn and Σ dn · x̂ of tiles to the gradients of γ and β, and what norm_back_plane needs.
void finish_norm(const NormConv& call, const NormConvGradients& gradients, const MapTiles& tiles,
                 const std::vector<GradientSums>& sums, int threads) {
    const int each = call.inputs / call.groups, per_item = tiles.down * tiles.across;
    const ptrdiff_t n = static_cast<ptrdiff_t>(call.height) * call.width;
    std::vector<GradientSums> planes(static_cast<size_t>(call.batch) * call.inputs);
    for (int tile = 0; tile < tiles.count; ++tile)
        for (int c = 0; c < call.inputs; ++c) {
            GradientSums& to = planes[static_cast<size_t>(tile / per_item) * call.inputs + c];
            const GradientSums& from = sums[static_cast<size_t>(tile) * call.inputs + c];
            to.dy += from.dy;
            to.dy_z += from.dy_z;
        }
    std::vector<double> gamma(call.inputs), beta(call.inputs);
    for (size_t p = 0; p < planes.size(); ++p) {
        gamma[p % call.inputs] += planes[p].dy_z;
        beta[p % call.inputs] += planes[p].dy;
    }
    std::copy(gamma.begin(), gamma.end(), gradients.gamma);
    std::copy(beta.begin(), beta.end(), gradients.beta);
    parallel_for(threads, static_cast<int>(planes.size()), [&](int p, int) {
        const int c = p % call.inputs, first = c / each * each;
        double mean = 0.0, along = 0.0;  // of γ dn, and of γ dn x̂, over the group
        for (int i = 0; i < each; ++i) {
            mean += call.gamma[first + i] * planes[p - c + first + i].dy / (double(n) * each);
            along += call.gamma[first + i] * planes[p - c + first + i].dy_z / (double(n) * each);
        }
        const float* statistics = call.statistics + 2 * (p / each);
        const double center = statistics[0], deviation = statistics[1], across = -deviation * deviation * along;
        NAM_CALL(norm_back_plane)
        (call.x + p * n, gradients.x + p * n, n, static_cast<float>(deviation * call.gamma[c]),
         static_cast<float>(-deviation * mean - across * center), static_cast<float>(across));
    });
}

// False without memory.
bool find_inputs(const NormConv& call, const NormConvGradients& gradients, int threads) {
    const MapTiles tiles = tiles_for(call, call.inputs, call.outputs, SHORTEST_ROW);
    const int workers = std::max(1, std::min(threads, tiles.count));
    const size_t scratch = rounded(NAM_CALL(norm_conv_scratch)(call.outputs, call.inputs, tiles));
    const HeldBuffer packed(NAM_CALL(norm_conv_packed_size)(call)), memory(scratch * workers);
    if (!packed.data() || !memory.data()) return false;
    pack(call, true, threads, packed.data());
    std::vector<GradientSums> sums(static_cast<size_t>(tiles.count) * call.inputs);
    parallel_for(workers, tiles.count, [&](int tile, int worker) {
        NAM_CALL(norm_conv_backward)
        (call, gradients, packed.data(), tiles, tile, memory.data() + worker * scratch,
         sums.data() + static_cast<size_t>(tile) * call.inputs);
    });
    finish_norm(call, gradients, tiles, sums, threads);
    return true;
}

bool find_weights(const NormConv& call, const NormConvGradients& gradients, int threads) {
    const WeightTasks tasks(call);
    const int count = tasks.parts * tasks.blocks, workers = std::max(1, std::min(threads, count));
    const size_t scratch = rounded(NAM_CALL(norm_conv_scratch)(call.inputs, tasks.outputs, tasks.tiles));
    const HeldBuffer sums(tasks.sums * count), memory(scratch * workers);
    if (!sums.data() || !memory.data()) return false;
    std::vector<float> bias(static_cast<size_t>(tasks.tiles.count) * call.outputs);
    const auto range = [&](int block) {
        const int first = block * tasks.outputs;
        return std::make_pair(first, std::min(call.outputs, first + tasks.outputs));
    };
    parallel_for(workers, count, [&](int task, int worker) {
        const int part = task / tasks.blocks;
        const auto [first, last] = range(task % tasks.blocks);
        float* to = sums.data() + task * tasks.sums;
        std::memset(to, 0, tasks.sums * sizeof(float));
        const ptrdiff_t all = tasks.tiles.count;
        for (int tile = all * part / tasks.parts; tile < all * (part + 1) / tasks.parts; ++tile)
            NAM_CALL(norm_conv_weights)
            (call, gradients, tasks.tiles, tile, first, last, memory.data() + worker * scratch, to,
             bias.data() + static_cast<size_t>(tile) * call.outputs);
    });
    std::memset(gradients.weight, 0, sizeof(float) * 9 * call.inputs * call.outputs);
    parallel_for(threads, tasks.blocks, [&](int block, int) {
        const auto [first, last] = range(block);
        for (int part = 0; part < tasks.parts; ++part)
            NAM_CALL(norm_conv_collect)
            (call, gradients, first, last, sums.data() + (part * tasks.blocks + block) * tasks.sums);
    });
    const int per_item = tasks.tiles.down * tasks.tiles.across;
    std::vector<double> total(call.outputs);
    for (int tile = 0; tile < tasks.tiles.count; ++tile) {
        if (tile % per_item == 0) std::fill(total.begin(), total.end(), 0.0);
        float* to = gradients.bias + static_cast<ptrdiff_t>(tile / per_item) * call.outputs;
        for (int o = 0; o < call.outputs; ++o)
            to[o] = static_cast<float>(total[o] += bias[static_cast<size_t>(tile) * call.outputs + o]);
    }
    return true;
}

}  // namespace

MapTiles map_tiles(const NormConv& call, int length) {
    MapTiles tiles;
    const int groups = divide_up(call.height, GROUP_ROWS);
    tiles.across = divide_up(call.width, length);
    tiles.columns = divide_up(call.width, tiles.across);
    tiles.groups = std::min(groups, std::max(1, length / (tiles.columns + 2)));
    tiles.down = divide_up(groups, tiles.groups);
    tiles.groups = divide_up(groups, tiles.down);
    tiles.count = call.batch * tiles.down * tiles.across;
    // Whole vectors are read and written behind the end; an odd number of cache lines spreads rows over the sets.
    tiles.pitch = ((ptrdiff_t{tiles.groups} * (tiles.columns + 2) + 32) / 16 | 1) * 16;
    return tiles;
}

}  // namespace nam

// 0, or −1 without memory.
NAM_API int nam_norm_conv_forward(const nam::NormConv* call, float eps, int threads) {
    nam::find_statistics(*call, eps, threads);
    const nam::MapTiles tiles = nam::tiles_for(*call, call->inputs, call->outputs, nam::SHORTEST_ROW);
    const int workers = std::max(1, std::min(threads, tiles.count));
    const size_t scratch = nam::rounded(NAM_CALL(norm_conv_scratch)(call->inputs, call->outputs, tiles));
    const nam::HeldBuffer packed(NAM_CALL(norm_conv_packed_size)(*call)), memory(scratch * workers);
    if (!packed.data() || !memory.data()) return -1;
    nam::pack(*call, false, threads, packed.data());
    nam::parallel_for(workers, tiles.count, [&](int tile, int worker) {
        NAM_CALL(norm_conv_forward)(*call, packed.data(), tiles, tile, memory.data() + worker * scratch);
    });
    return 0;
}

// 0, or −1 without memory. `call` as in the forward pass; its bias, skip, valid, scale and y are not read.
NAM_API int nam_norm_conv_backward(const nam::NormConv* call, const nam::NormConvGradients* gradients, int threads) {
    return nam::find_inputs(*call, *gradients, threads) && nam::find_weights(*call, *gradients, threads) ? 0 : -1;
}
