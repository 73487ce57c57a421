"""The word LSTM on a GPU: blocks of steps, CUDA graphs, and a fused kernel for one step."""
