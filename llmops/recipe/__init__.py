"""The recipe: one YAML file that runs the loop."""
