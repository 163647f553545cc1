"""What an older state left behind loads, verifies and is promoted with the code of today.

``fixtures/make_old_store.py`` says what is in the store, and how it was made.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
import pytest

import llmops
from llmops.records.models import identity

TESTS = next(folder for folder in Path(__file__).resolve().parents if folder.name == "tests")
FIXTURE = TESTS / "fixtures" / "old_store"
PLACE = b"@STORE@"
FIRST, SECOND, UNJUDGED = "models:/bot/1", "models:/bot/2", "models:/bot/3"
ADAPTER = "adapter/adapter_model.safetensors"


@cache
def expected() -> dict[str, Any]:
    """What the older state said; never changed by a test."""
    return dict(json.loads((FIXTURE / "expected.json").read_text(encoding="utf-8")))


VERSIONS = sorted(expected()["answers"])


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _empty_database: Path) -> Iterator[Path]:
    """The folder of the older state's store, home and recipe, in use."""
    folder = tmp_path / "old"
    unpack(folder)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    if revision(folder / "mlflow.db") != revision(_empty_database):
        upgrade(uri)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMOPS_HOME", str(folder / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    yield folder
    mlflow.set_tracking_uri(before)


def unpack(folder: Path) -> None:
    """Puts the store into a folder, and the folder's name where a path was."""
    with tarfile.open(FIXTURE / "store.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for path in folder.rglob("*"):
        if path.is_file() and PLACE in (data := path.read_bytes()):
            path.write_bytes(data.replace(PLACE, str(folder).encode()))
    dump = folder / "mlflow.sql"
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        database.executescript(dump.read_text(encoding="utf-8"))
    dump.unlink()


def revision(database: Path) -> str:
    """Which of MLflow's schemas a database has."""
    with closing(sqlite3.connect(database)) as found:
        return str(found.execute("select version_num from alembic_version").fetchone()[0])


def upgrade(uri: str) -> None:
    """Does what MLflow asks of a user whose store an older MLflow made."""
    line = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    subprocess.run(line, capture_output=True, check=True)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs ``llmops`` as a user does."""
    line = [sys.executable, "-m", "llmops", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=240, check=False)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON that a command printed."""
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def shared(found: Any, known: Any) -> Any:
    """What is found, without keys that later states add, and numbers to six digits.

    Likelihoods that another build of torch computes differ behind these.
    """
    if isinstance(found, dict) and isinstance(known, dict):
        return {key: shared(found[key], known[key]) for key in known if key in found}
    if isinstance(found, list) and isinstance(known, list) and len(found) == len(known):
        return [shared(one, other) for one, other in zip(found, known, strict=True)]
    return round(found, 6) if isinstance(found, float) else found


def assert_as_known(found: Any, known: Any) -> None:
    assert shared(found, known) == shared(known, known)


def with_identities(known: dict[str, Any]) -> dict[str, Any]:
    """A comparison whose sides have the digest of base and adapter together, as of today.

    The older state identified a side by its adapter alone, whatever its base.
    """
    sides = {which: known[which] for which in ("baseline", "candidate")}
    return known | {
        which: side
        | {
            "digest": identity(side["base_digest"], side["digest"]),
            "adapter_digest": side["digest"],
        }
        for which, side in sides.items()
    }


INFERRED = ("low", "high", "p_value", "detectable", "result", "confidence")
"""Figures of a metric that follow from the statistics, which allow for failures of either side today."""


def as_today(known: dict[str, Any]) -> dict[str, Any]:
    """What was measured, without what is concluded or noted: that may have become better since."""
    kept = {key: known[key] for key in known if key not in ("notes", "slices")}
    metrics = [
        {key: metric[key] for key in metric if key not in INFERRED} for metric in kept["metrics"]
    ]
    return with_identities({**kept, "metrics": metrics})


def compared() -> subprocess.CompletedProcess[str]:
    """Compares the two versions as the older state did."""
    options = ["--max-tokens", str(expected()["max_tokens"]), "--output", "json"]
    options += ["--method", "hybrid"]  # the default then
    return command("compare", FIRST, SECOND, "--suite", str(FIXTURE / "suite.jsonl"), *options)


def results(old: Path) -> dict[str, str]:
    """Everything that is in the cache of answers."""
    with closing(sqlite3.connect(old / "home" / "cache" / "results.sqlite")) as cached:
        return dict(cached.execute("select key, value from result"))


def champion() -> str:
    return str(mlflow.MlflowClient().get_model_version_by_alias("bot", "champion").version)


def artifacts(old: Path, uri: str) -> Path:
    """The folder of a version's files in the store."""
    (found,) = old.glob(f"mlruns/*/models/{expected()['show'][uri]['model_id']}/artifacts")
    return found


def evidence(old: Path) -> Path:
    """The evidence of the version that is to be promoted."""
    run = expected()["show"][SECOND]["evidence"]["run_id"]
    (found,) = old.glob(f"mlruns/*/{run}/artifacts/report/evidence.json")
    return found


def base_json(old: Path) -> Path:
    return artifacts(old, SECOND) / "base.json"


def change(path: Path, at_first: bytes = b"") -> None:
    """Changes one byte: the first of some bytes, or the last of the file."""
    data = bytearray(path.read_bytes())
    at = data.index(at_first) if at_first else len(data) - 1
    data[at] = ord("0") if data[at] != ord("0") else ord("1")  # a digest stays hexadecimal
    path.write_bytes(data)


def natively(uri: str) -> Any:
    return llmops.load_model(uri, device="cpu")


def as_pyfunc(uri: str) -> Any:
    return mlflow.pyfunc.load_model(uri, model_config={"device": "cpu"})


DOORS = (natively, as_pyfunc)
"""On the CPU, where the answers were made: a GPU rounds otherwise."""


def answers(model: Any, **how: Any) -> dict[str, str]:
    """Prompt → answer, of a model that was loaded by whichever door."""
    prompts = list(expected()["answers"][FIRST])
    said = model.predict(prompts, **how)
    texts = [one["choices"][0]["message"]["content"] for one in said]
    return dict(zip(prompts, texts, strict=True))


@pytest.mark.parametrize("uri", VERSIONS)
@pytest.mark.parametrize("load", DOORS)
@pytest.mark.parametrize("home", ["home", "empty"])
def test_a_version_answers_as_it_did(
    old: Path, monkeypatch: pytest.MonkeyPatch, home: str, load: Callable[[str], Any], uri: str
) -> None:
    monkeypatch.setenv("LLMOPS_HOME", str(old / home))  # the empty one: all is in the registry
    said = answers(load(uri), params={"max_tokens": expected()["max_tokens"]})
    assert said == expected()["answers"][uri]


@pytest.mark.parametrize("uri", VERSIONS)
def test_show_tells_what_it_told(old: Path, uri: str) -> None:
    known = expected()["show"][uri]
    assert_as_known(told(command("show", uri, "--output", "json")), known)
    if known["kind"] == "adapter":
        assert known["adapter"]["digest"] in {path.name for path in old.glob("home/adapters/*")}


def test_every_byte_of_the_bases_is_what_was_pinned(old: Path) -> None:
    (base,) = told(command("base", "ls", "--verify", "--output", "json"))["bases"]
    assert base["cached"]
    assert base["digest"] == expected()["show"]["models:/tiny/1"]["base"]["digest"]
    change(old / "home" / "models" / base["digest"] / "model.safetensors")
    done = command("base", "ls", "--verify")
    assert done.returncode == 1
    assert "the bytes differ" in done.stderr


def test_answers_of_a_cache_without_seals_are_generated_once_more(old: Path) -> None:
    before = results(old)
    again = compared()
    assert_as_known(told(again), as_today(expected()["comparison"]))
    assert "cached results were not written by this llmops" in again.stderr
    assert "generate:" in again.stderr
    # No --suite: the gate takes the held-out prompts that the training run kept
    recipe = str(old / "recipe.yaml")
    judged = command(
        *("gate", recipe, "--candidate", SECOND, "--output", "json", "compare.method=hybrid")
    )
    decision = expected()["gate"]["decision"]
    outcome = {key: decision[key] for key in ("status", "verdict", "passed", "exit_code")}
    known = {**as_today(expected()["gate"]), "decision": outcome}
    assert_as_known(told(judged), known)
    assert results(old).keys() == before.keys(), "the same keys: nothing is stored twice"
    third = compared()
    assert_as_known(told(third), as_today(expected()["comparison"]))
    assert not any(word in third.stderr for word in ("generate:", "score:", "warning:"))


def test_an_old_cache_that_was_edited_decides_nothing(old: Path) -> None:
    with closing(sqlite3.connect(old / "home" / "cache" / "results.sqlite")) as cached:
        for key, text in results(old).items():
            value = json.loads(text)
            made_up = (
                [-0.001, value[1]] if isinstance(value, list) else {**value, "text": "made up"}
            )
            cached.execute("update result set value = ? where key = ?", (json.dumps(made_up), key))
        cached.commit()
    assert_as_known(told(compared()), as_today(expected()["comparison"]))


def test_the_old_evidence_promotes(old: Path) -> None:
    assert champion() == "1"
    # The champion's own evidence holds, too: the run that promoted it may be repeated
    assert told(command("promote", FIRST, "--output", "json"))["version"] == FIRST
    done = told(command("promote", SECOND, "--output", "json"))
    assert (done["version"], done["alias"]) == (SECOND, "champion")
    assert champion() == "2"
    stale = command("promote", FIRST)
    assert stale.returncode == 2
    assert "the evidence is stale" in stale.stderr
    unjudged = command("promote", UNJUDGED)
    assert unjudged.returncode == 2
    assert "has no evidence" in unjudged.stderr
    assert champion() == "2"


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [(evidence, 2, "was changed after the verdict"), (base_json, 1, "has the digest")],
)
def test_one_changed_byte_promotes_nothing(
    old: Path, file: Callable[[Path], Path], code: int, words: str
) -> None:
    digest = expected()["show"][SECOND]["adapter"]["digest"]
    change(file(old), digest.encode())
    done = command("promote", SECOND)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert champion() == "1"


@pytest.mark.parametrize("load", DOORS)
def test_one_changed_byte_of_an_adapter_is_refused(old: Path, load: Callable[[str], Any]) -> None:
    change(artifacts(old, SECOND) / ADAPTER)
    shutil.rmtree(old / "home" / "adapters")  # else its own whole copy is taken
    with pytest.raises(Exception, match=r"adapter digest .* differs from the recorded"):
        load(SECOND)


def test_a_damaged_copy_is_fetched_again(old: Path) -> None:
    digest = expected()["show"][SECOND]["adapter"]["digest"]
    change(old / "home" / "adapters" / digest / ADAPTER)
    said = answers(natively(SECOND), params={"max_tokens": expected()["max_tokens"]})
    assert said == expected()["answers"][SECOND]
