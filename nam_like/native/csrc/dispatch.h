// Which instruction set runs.
//
// A kernel is declared once with NAM_KERNEL and defined in namespace nam::NAM_ISA by a file under isa/, which is
// compiled once per instruction set. NAM_CALL picks the one that the processor has:
//
//     NAM_KERNEL(void, add, (const float* x, float* y, int n))      // in a header
//     NAM_CALL(add)(x, y, n);                                       // anywhere
#pragma once

// With the vectors of another instruction set (see isa/vec.h), a test builds one set only.
#if (defined(__x86_64__) || defined(_M_X64)) && !defined(NAM_VECTOR_WIDTH)
#define NAM_X86 1
#endif

namespace nam {

enum class Isa { baseline = 0, avx2 = 1, avx512 = 2 };

// The one in use: the best that the processor has, unless nam_set_isa chose another.
Isa isa();

}  // namespace nam

#ifdef NAM_X86
#define NAM_KERNEL(result, name, parameters)        \
    namespace nam::baseline { result name parameters; } \
    namespace nam::avx2 { result name parameters; }     \
    namespace nam::avx512 { result name parameters; }
#define NAM_CALL(name)                                            \
    (nam::isa() == nam::Isa::avx512 ? nam::avx512::name           \
     : nam::isa() == nam::Isa::avx2 ? nam::avx2::name             \
                                    : nam::baseline::name)
#else
#define NAM_KERNEL(result, name, parameters) \
    namespace nam::baseline { result name parameters; }
#define NAM_CALL(name) nam::baseline::name
#endif
