"""Native kernels: fused forward and backward passes on the CPU, each beside a plain PyTorch path.

`csrc` is C++ without dependencies, `library` loads it, and the other modules are its autograd functions.
Nothing here knows about nets, losses or configs: they hand over tensors and integers. ``docs/native.md``
teaches how it is built and how to add a kernel.
"""
