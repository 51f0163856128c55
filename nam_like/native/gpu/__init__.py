"""Kernels for CUDA devices, written in Triton; nothing heavy is imported before a net asks for them.

`wavenet` plays WaveNets, `available` says whether this machine can, `kernels/` holds what runs on the device.
"""
