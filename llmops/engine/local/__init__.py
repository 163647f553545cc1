"""The local engine: torch in this process, one base model with all its adapters."""
