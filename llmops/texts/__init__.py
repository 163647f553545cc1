"""What two texts share: normalised words, n-grams, overlap."""
