"""MLflow's entry points: thin classes that delegate everything to llmops."""
