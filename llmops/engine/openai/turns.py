"""The parts of a message, with what clients add to them.

Clients send complete message objects. A key that is empty therefore counts as absent, and a key that
only labels the message is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from llmops.records import Message

BROKEN = "half_character"
"""Type of the validation error for a text with half a character."""
UNFIT = "unfit_keys"
"""Type of the validation error for keys of a message that do not belong together."""
SAME_AS = {"developer": "system"}
"""OpenAI's newer role, and the role that chat templates know."""
LABELS = frozenset(
    {
        "annotations",
        "cache_control",
        "id",
        "name",
        "prompt_cache_breakpoint",
        "provider_specific_fields",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "type",
    }
)
"""Keys of messages and parts that clients send and that are no part of the prompt."""


def broken(text: str) -> str | None:
    """Return why UTF-8 cannot encode a text, ``None`` if it can.

    JSON allows half of a surrogate pair; no file, store or tokenizer accepts it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"holds half of a character ({text[error.start]!a} at {error.start})"
    return None


def _carried(text: str) -> str:
    if wrong := broken(text):
        raise PydanticCustomError(BROKEN, "{wrong}", {"wrong": wrong})
    return text


def _arguments(given: object) -> object:
    """Return the arguments of a tool call as an object, as chat templates expect them."""
    if not isinstance(given, str):
        return given
    try:
        read = json.loads(given or "{}")
        json.dumps(read, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return given
    return read


Text = Annotated[str, AfterValidator(_carried)]
"""A string that UTF-8 can encode."""


class Strict(BaseModel):
    """A model of a part of a request: no conversions, no unknown keys, ``null`` counts as absent."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if not cls._is_absent(key, value)}

    @classmethod
    def _is_absent(cls, key: object, value: object) -> bool:
        return value is None


class Labelled(Strict):
    """A model of a part of a request that may also have labels and empty keys."""

    @classmethod
    def _is_absent(cls, key: object, value: object) -> bool:
        if value is None or key in cls.model_fields:
            return value is None
        return key in LABELS or value in ("", [], {}, False)


class Part(Labelled):
    """A part of a content; types other than text are refused."""

    type: Literal["text"]
    text: Text


class Function(Labelled):
    """The function that a tool call names, and its arguments."""

    name: Annotated[Text, Field(min_length=1)]
    arguments: Annotated[dict[str, Any], BeforeValidator(_arguments)] = {}


class ToolCall(Labelled):
    """A tool call in an assistant's message."""

    id: Text | None = None
    index: int | None = None
    type: Literal["function"] = "function"
    function: Function


class Turn(Labelled):
    """A message with its role and its content, or the tool calls in its place."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[
        Annotated[Text, Tag("text")] | Annotated[list[Part], Tag("parts"), Field(min_length=1)],
        Discriminator(lambda value: "parts" if isinstance(value, list) else "text"),
    ] = ""
    tool_calls: list[ToolCall] = []
    tool_call_id: Text | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if "content" not in self.model_fields_set and not self.tool_calls:
            raise PydanticCustomError(UNFIT, "content must be text, received None")
        for key, role in (("tool_calls", "assistant"), ("tool_call_id", "tool")):
            if getattr(self, key) and self.role != role:
                raise PydanticCustomError(UNFIT, f"{key}: allowed with role {role} only")
        return self

    def message(self) -> Message:
        """Return the message as chat templates read it, with its content as one text.

        The content is ``None`` where tool calls stand in its place.
        """
        parts = self.content if "content" in self.model_fields_set else None
        text = "".join(part.text for part in parts) if isinstance(parts, list) else parts
        message: Message = {"role": SAME_AS.get(self.role, self.role), "content": text}
        if self.tool_calls:
            message["tool_calls"] = [
                call.model_dump(exclude={"index"}, exclude_none=True) for call in self.tool_calls
            ]
        if self.tool_call_id:
            message["tool_call_id"] = self.tool_call_id
        return message
