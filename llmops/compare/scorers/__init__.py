"""Scorers: what each answer is worth, between 0 and 1."""
