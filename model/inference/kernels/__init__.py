"""The forward pass of the network on a CPU (compiled with numba) and on a GPU (torch and Triton)."""
