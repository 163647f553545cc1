from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from llmops.errors import UsageError
from llmops.models import load_options
from llmops.records import LoadOptions


def test_what_says_the_same_is_the_same() -> None:
    given = {"dtype": torch.bfloat16, "device": None, "base": Path("/srv/tiny")}
    assert load_options.read(given, "here") == LoadOptions(dtype="bfloat16", base="/srv/tiny")
    assert load_options.read({}, "here") == LoadOptions()


@pytest.mark.parametrize("device", ["auto", "cpu", "balanced", "cuda", "cuda:0", "cuda:12"])
def test_devices_that_exist_somewhere(device: str) -> None:
    assert load_options.read({"device": device}, "here").device == device


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dtyp": "float32"}, "here: unknown dtyp; allowed: dtype, device, attention"),
        ({"dtype": "int4"}, "unknown dtype 'int4'; allowed: auto, bfloat16"),
        ({"device": "cuda:1234"}, "unknown device 'cuda:1234'"),
        ({"device": "cuda:-1"}, "unknown device"),
        ({"attention": "owner/kernel"}, "unknown attention 'owner/kernel'"),  # code from the hub
        ({"quantization": "2bit"}, "unknown quantization '2bit'; allowed: 8bit, 4bit"),
    ],
)
def test_what_no_machine_can_do_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_options.read(given, "here")
