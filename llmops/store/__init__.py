"""Access to MLflow's stores: connection, registry, runs, artifacts, tags."""
