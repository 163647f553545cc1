"""A deployment on this machine: process, recorded state, client."""
