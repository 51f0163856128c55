// What the shared library shows to Python: plain C functions on pointers and integers.
//
// Python loads the library with ctypes, so neither Python's nor PyTorch's headers are needed to build it, and one
// build serves every version of both.
#pragma once
#include <cstdint>

#define NAM_API extern "C" __attribute__((visibility("default")))

// Raised when a function's arguments or this file's data structures change, so that Python refuses a stale build.
#define NAM_ABI_VERSION 5
