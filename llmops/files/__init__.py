"""Files on this machine: digests, the llmops home, staging, tables. Connects to nothing."""
