"""Models at rest, addressed by content: bases, adapters, pins, versions and their lineage."""
