"""Chat templates that write the date into the prompt.

The same conversation is another prompt the next day. Its rendered text then belongs to the key of a
cached result; otherwise one side could answer from the cache what the other side is not asked.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from llmops.engine.chat_format import TEMPLATE, ChatFormat, Messages
from llmops.errors import UsageError
from llmops.records import ModelFiles, Side

CLOCK = "strftime_now"
"""Name of the function by which a template of transformers reads the clock."""
PLACES = (TEMPLATE, "tokenizer_config.json")
"""Files that may hold a chat template."""


def dated_prompt(side: Side, messages: Messages | str) -> str | None:
    """Return the prompt as it is rendered now, if it depends on the date.

    Returns:
        ``None`` if the side's chat template does not read the clock, if the template is unknown, or if
        it refuses the messages.
    """
    if isinstance(messages, str) or not isinstance(side, ModelFiles):
        return None
    chat_format = _dated_format(side)
    if chat_format is None:
        return None
    try:
        return chat_format.render(messages)
    except UsageError:  # its answer will be the refusal
        return None


@lru_cache(maxsize=32)
def _dated_format(side: ModelFiles) -> ChatFormat | None:
    folders = [folder for folder in (side.tokenizer_dir, side.base.directory) if folder is not None]
    reads_clock = any(_names_clock(folder / name) for folder in folders for name in PLACES)
    return ChatFormat.of(side) if reads_clock else None


def _names_clock(file: Path) -> bool:
    return file.is_file() and CLOCK in file.read_text(encoding="utf-8", errors="replace")
