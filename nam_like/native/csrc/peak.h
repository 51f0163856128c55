// The arithmetic limit of a core, against which the kernels are measured.
#pragma once
#include "dispatch.h"

// Runs multiply-adds that depend on nothing but registers; returns how many floating-point operations it did.
NAM_KERNEL(double, peak_loop, (long rounds, float* sink))
