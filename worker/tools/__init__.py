"""What the commands beside the worker do: feed, simulate, follow, score files, redrive, check."""
