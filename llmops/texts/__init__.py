"""Overlap of texts: normalised words, n-grams and near-duplicates."""
