"""Scorers for answers in JSON."""
