"""Distillation: teachers, their soft targets, and the augmentation of the texts that they label."""
