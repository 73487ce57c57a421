"""A grammar of sentences by kind, with their labels: one half to train on, another, disjoint one to judge by."""
