from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from llmops.errors import IntegrityError
from llmops.models import pin
from llmops.models.pin import Pin

WHOLE = Pin(
    base="tiny",
    digest="a" * 64,
    source="models:/tiny/1",
    origin="hub:owner/tiny@" + "b" * 40,
    adapter_digest="c" * 64,
)


def written(tmp_path: Path, found: Pin = WHOLE) -> Path:
    (tmp_path / pin.FILE).write_text(found.text())
    conf = {"flavors": {pin.FLAVOR: found.flavor_conf()}, "model_id": "m-1"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(conf))
    return tmp_path


def test_a_pin_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert pin.read(written(tmp_path)) == WHOLE
    assert pin.model_id(tmp_path) == "m-1"


def test_what_is_not_known_is_not_written() -> None:
    text = Pin(base="tiny", digest="a" * 64).text()
    assert set(json.loads(text)) == {"schema_version", "base", "digest"}


@pytest.mark.parametrize("position", range(0, len(WHOLE.text()), 7))
def test_every_flipped_byte_is_found(tmp_path: Path, position: int) -> None:
    file = written(tmp_path) / pin.FILE
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"base\.json"):
        pin.read(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"source": "models:/../tiny/1"},
        {"source": "/etc/passwd"},
        {"source": "../../tiny"},
        {"source": "models:/tiny/../../1"},
        {"origin": "directory:/srv/models/tiny"},
        {"origin": "directory:.."},
        {"origin": "directory:a/../b"},
        {"origin": "hub:../tiny@" + "b" * 40},
        {"origin": "hub:owner/tiny"},
        {"origin": "file:///etc/passwd"},
        {"digest": "../" + "a" * 61},
        {"adapter_digest": "x"},
        {"schema_version": 2},
        {"surprise": 1},
    ],
)
def test_a_reference_that_leads_elsewhere_is_refused(change: dict[str, object]) -> None:
    text = json.dumps({**json.loads(WHOLE.text()), **change})
    with pytest.raises(IntegrityError, match=r"models:/bot/1: "):
        pin.parse(text.encode(), "models:/bot/1")


def test_mlmodel_must_confirm_it(tmp_path: Path) -> None:
    written(tmp_path)
    other = Pin(base="tiny", digest="d" * 64)
    (tmp_path / pin.FILE).write_text(other.text())
    with pytest.raises(IntegrityError, match=r"base\.json has the digest .* MLmodel recorded"):
        pin.read(tmp_path)
    (tmp_path / "MLmodel").write_text("flavors: {}")
    with pytest.raises(IntegrityError, match="MLmodel does not confirm"):
        pin.read(tmp_path)
    (tmp_path / pin.FILE).unlink()
    with pytest.raises(IntegrityError, match="llmops did not log this model"):
        pin.read(tmp_path)
