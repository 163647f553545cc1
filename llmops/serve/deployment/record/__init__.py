"""How deployments are recorded on disk."""
