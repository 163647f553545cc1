"""A deployment on this machine: its process, its state, a client."""
