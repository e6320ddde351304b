"""What the CUDA backend does on a GPU: answers checked, targets, time over the floor of each operation, one profile."""
