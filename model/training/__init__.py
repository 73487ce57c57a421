"""Training of checkpoints: batches, fitting, the language model, run folders, and model cards."""
