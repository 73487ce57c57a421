"""Evaluation of checkpoints: metrics, comparison, explanations of single texts, and plots."""
