"""The OpenAI protocol: its requests and replies, and an engine for any server that speaks it."""
