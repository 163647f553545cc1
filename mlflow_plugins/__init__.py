"""Entry points of MLflow: thin, everything is delegated to llmops."""
