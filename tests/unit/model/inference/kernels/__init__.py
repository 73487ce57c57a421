"""The compiled loops of the CPU, and those of the GPU read line by line."""
