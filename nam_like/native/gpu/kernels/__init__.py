"""What runs on the device. These modules import Triton at their top: import them inside functions.

All kernels share one blocking. A program takes one item of the batch and `TILE` samples; a thread holds all
channels of its samples in registers. A convolution is then a sum of outer products (a vector of weights times
one row of samples), a 1×1 a sum over the registers of one thread: no shared memory, no barriers, and with
few channels no padding up to the 16×16 of the matrix units. All products are exact float32.

Signals are ``(B, channels, length)``, contiguous, and aligned at their last sample: whatever is shorter
begins later, so that lengths say everything about crops. Weights come packed, see
:mod:`nam_like.native.gpu.packing`.

`stride` is `TILE` once more, as a number that the compiler does not know: it then takes all signals as
unaligned, one sample per thread and load, and never moves rows between threads. (Where it sees that every
fourth row is aligned, it exchanges them through shared memory for wider loads, which costs more.)
"""
