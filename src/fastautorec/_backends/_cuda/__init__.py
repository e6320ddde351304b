"""The CUDA backend's parts: the device, matrices on it, and what launches the kernels of each operation."""
