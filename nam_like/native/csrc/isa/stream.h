// Stores that bypass the caches, for results that are read again only after much else has been written.
//
// An ordinary store first reads the line that it overwrites, and drives other data out of the cache.
#pragma once
#include "vec.h"

#if defined(__SSE__) && !defined(NAM_VECTOR_WIDTH)
#include <immintrin.h>
#endif

namespace nam::NAM_ISA {

// `p` is aligned to a vector.
NAM_INLINE void stream(float* p, vf v) {
#if defined(NAM_VECTOR_WIDTH) || !defined(__SSE__)
    store(p, v);
#elif defined(__AVX512F__)
    _mm512_stream_ps(p, v);
#elif defined(__AVX2__)
    _mm256_stream_ps(p, v);
#else
    _mm_stream_ps(p, v);
#endif
}

// Before another thread reads what was streamed.
NAM_INLINE void end_stream() {
#if defined(__SSE__) && !defined(NAM_VECTOR_WIDTH)
    _mm_sfence();
#endif
}

}  // namespace nam::NAM_ISA
