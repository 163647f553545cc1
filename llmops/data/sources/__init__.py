"""Sources of training examples."""
