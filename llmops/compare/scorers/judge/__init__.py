"""The pairwise judge: a model that decides which of two answers is better."""
