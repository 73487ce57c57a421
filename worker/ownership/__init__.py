"""Owned partitions: taking them over, knowing where each stands, flushing their states, giving them up."""
