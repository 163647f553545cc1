"""Files on this machine: digests, the llmops home, staging, tables. Nothing here connects to a store."""
