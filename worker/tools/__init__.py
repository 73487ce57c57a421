"""The commands other than the worker itself: feed, simulate, tail, score, show and erase a state, redrive, check."""
