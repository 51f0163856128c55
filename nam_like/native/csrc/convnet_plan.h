// Laying out the weights and rows of a ConvNet that Python describes.
#pragma once
#include <memory>
#include <vector>

#include "convnet.h"

namespace nam {

// A ConvNet and the memory that its layers lie in.
struct ConvNetPlan {
    ConvNet net{};
    std::vector<ConvNetLayer> layers;
};

// One layer as nam_like/native/convnet.py writes it.
struct ConvNetLayerFields {
    int32_t outputs, kernel, dilation, bias, norm, kind, slopes;
    float constants[4];
};

// Null if they make no net within the limits of convnet.h and wavenet.h.
std::unique_ptr<ConvNetPlan> plan_convnet(int inputs, const ConvNetLayerFields* fields, int layers);

}  // namespace nam
