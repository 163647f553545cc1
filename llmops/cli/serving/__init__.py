"""The verbs about deployments on this machine."""
