"""The vLLM engine: a server process of its own, on loopback."""
