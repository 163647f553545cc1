"""A version as files for other programs."""
