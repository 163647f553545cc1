"""The local engine: torch in this process, one base model and its adapters in memory."""
