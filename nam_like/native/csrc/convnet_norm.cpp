#include "convnet_norm.h"

#include <cmath>

namespace nam {
namespace {

double scale_of(const Statistics& statistics, int row) {
    return 1.0 / std::sqrt(statistics.variance[row] + statistics.epsilon[row]);
}

}  // namespace

void set_normals(const ConvNetLayer& layer, const float* weights, const Statistics& statistics, Normal* normals) {
    for (int c = 0; c < layer.outputs; ++c) {
        const int row = layer.row + c;
        normals[row] = Normal{};
        if (!layer.norm) continue;
        normals[row].mean = static_cast<float>(statistics.mean[row]);
        normals[row].scale = static_cast<float>(scale_of(statistics, row) * weights[layer.w_scale + c]);
        normals[row].shift = weights[layer.w_shift + c];
    }
}

void gather_moments(const ConvNetLayer& layer, const Moments* moments, int rows, ptrdiff_t batch, ptrdiff_t count,
                    const Statistics& statistics) {
    for (int row = layer.row; row < layer.row + layer.outputs; ++row) {
        double mean = 0.0, squares = 0.0;
        for (ptrdiff_t sample = 0; sample < batch; ++sample) mean += moments[sample * rows + row].mean;
        mean /= static_cast<double>(batch);
        for (ptrdiff_t sample = 0; sample < batch; ++sample) {
            const Moments& m = moments[sample * rows + row];
            squares += m.squares + static_cast<double>(count) * (m.mean - mean) * (m.mean - mean);
        }
        statistics.mean[row] = mean;
        statistics.variance[row] = squares / (static_cast<double>(count) * static_cast<double>(batch));
    }
}

void gather_gradients(const ConvNetLayer& layer, const GradientSums* sums, int rows, ptrdiff_t batch, double count,
                      const Statistics& statistics, float* weight_gradients, NormalGradient* normal_gradients) {
    for (int c = 0; c < layer.outputs; ++c) {
        const int row = layer.row + c;
        GradientSums total{};
        for (ptrdiff_t sample = 0; sample < batch; ++sample) {
            total.dy += sums[sample * rows + row].dy;
            total.dy_z += sums[sample * rows + row].dy_z;
        }
        normal_gradients[row] = NormalGradient{};
        if (layer.bias) weight_gradients[layer.w_bias + c] = static_cast<float>(total.dy);
        if (!layer.norm) continue;
        const double scale = scale_of(statistics, row);
        weight_gradients[layer.w_shift + c] = static_cast<float>(total.dy);
        weight_gradients[layer.w_scale + c] = static_cast<float>(total.dy_z * scale);
        if (count == 0.0) continue;
        normal_gradients[row].constant = static_cast<float>(total.dy / count);
        normal_gradients[row].along = static_cast<float>(total.dy_z * scale * scale / count);
    }
}

}  // namespace nam
