"""The verbs of promotion: move an alias, move it back, read what was moved, find what is not proven."""
