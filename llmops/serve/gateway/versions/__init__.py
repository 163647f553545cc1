"""Which version answers: swapped, probed, followed by its alias, and brought back after a crash."""
