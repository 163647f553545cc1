"""The OpenAI protocol: requests, replies, and any server that speaks it as an engine."""
