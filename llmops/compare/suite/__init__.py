"""Suites: held-out prompts, read and checked row by row."""
