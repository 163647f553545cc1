"""Leakage: prompts of a suite that were in a version's training data, and what becomes of them."""
