"""The CUDA backend's parts: the device, matrices on it, and what launches the kernels of each operation."""

from fastautorec._compute.cuda.cupy_device import open_device

__all__ = ["open_device"]
