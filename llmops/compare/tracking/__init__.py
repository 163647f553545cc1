"""A comparison in MLflow: its runs, its metrics, its traces."""
