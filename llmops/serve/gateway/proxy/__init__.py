"""From a request to an engine and back: reading, waiting for a place, relaying."""
