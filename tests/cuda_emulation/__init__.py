"""The CUDA kernels and the code that launches them, run without a GPU; see README.md beside this file."""

from cuda_emulation.arrays import EmulatedArray
from cuda_emulation.device import EmulatedDevice
from cuda_emulation.sparse import EmulatedCsr

__all__ = ["EmulatedArray", "EmulatedCsr", "EmulatedDevice"]
