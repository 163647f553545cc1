"""Scorers of answers that should be JSON."""
