"""The pairwise judge: a model that says which of two answers is better."""
