"""Stage ``data``: examples in, three files out that share no group."""

from llmops.data.prepare import prepare, read_split

__all__ = ["prepare", "read_split"]
