"""Who may ask a deployment: keys, and their limits."""
