"""Baselines in plain numpy: recurrent networks with hand-written backward passes."""
