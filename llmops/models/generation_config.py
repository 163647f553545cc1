"""The settings of a model's ``generation_config.json`` that its answers follow.

The request sets length, temperature and number of answers; the file says where an answer ends.
Settings that would change answers and that llmops does not support are refused, never silently
ignored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.errors import IntegrityError, UsageError
from llmops.models import safety

FILE = "generation_config.json"
HONOURED = ("eos_token_id", "repetition_penalty", "suppress_tokens")
REQUESTED = (
    "do_sample",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "max_length",
    "max_new_tokens",
)
"""Settings that the request decides."""
HARMLESS = (
    "_from_model_config",
    "transformers_version",
    "bos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "use_cache",
    "cache_implementation",
    "return_dict_in_generate",
    "output_scores",
    "output_logits",
    "output_attentions",
    "output_hidden_states",
    "early_stopping",
    "renormalize_logits",
    "remove_invalid_values",
)
"""Settings without effect on the text."""


@dataclass(frozen=True)
class Generation:
    """The settings that answers follow.

    Attributes:
        end_ids: Ids of the tokens that end an answer.
        repetition_penalty: Factor that lowers the logits of tokens in the text so far; 1 is none.
        suppressed: Ids of the tokens that are never generated.
    """

    end_ids: tuple[int, ...] = ()
    repetition_penalty: float = 1.0
    suppressed: tuple[int, ...] = ()


def of_model(directory: Path) -> Generation:
    """Return a model's settings; older checkpoints keep them in ``config.json``.

    Raises:
        UsageError: See ``read``.
        IntegrityError: See ``read``.
    """
    if (directory / FILE).is_file():
        return read(directory / FILE)
    config = safety.read_json(directory / safety.CONFIG)
    return Generation(_ids(config, "eos_token_id", directory / safety.CONFIG))


def read(file: Path) -> Generation:
    """Read a ``generation_config.json``.

    Raises:
        UsageError: A setting would change answers and is not supported.
        IntegrityError: The file is not JSON, or a value is impossible.
    """
    settings = safety.read_json(file)
    known = (*HONOURED, *REQUESTED, *HARMLESS)
    refused = sorted(
        key for key, value in settings.items() if key not in known and not _neutral(value)
    )
    if refused:
        names = ", ".join(refused)
        raise UsageError(
            f"{file}: sets {names}, which llmops does not support; it reads {', '.join(HONOURED)}",
            next_command=f"remove {names} from a copy of the model, and log the copy",
        )
    penalty = settings.get("repetition_penalty") or 1.0
    if isinstance(penalty, (bool, str, list, dict)) or not 0 < penalty < math.inf:
        raise IntegrityError(
            f"{file}: repetition_penalty must be a number above 0, received {penalty!r:.80}"
        )
    return Generation(
        _ids(settings, "eos_token_id", file),
        float(penalty),
        _ids(settings, "suppress_tokens", file),
    )


def _ids(settings: dict[str, Any], key: str, file: Path) -> tuple[int, ...]:
    value = settings.get(key)
    ids = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in ids):
        raise IntegrityError(f"{file}: {key} must be token ids, received {value!r:.80}")
    return tuple(ids)


def _neutral(value: Any) -> bool:
    """Return whether a value is one that transformers writes for a setting that is off."""
    return value is None or value is False or (value is not True and value in (0, 1, "", [], {}))
