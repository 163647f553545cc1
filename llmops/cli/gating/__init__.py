"""The verbs around a gate: gate, evidence, webhook, and what CI gets."""
