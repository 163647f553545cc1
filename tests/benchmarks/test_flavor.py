"""The flavor beside `mlflow.transformers`, on SmolLM2-135M with r16 adapters, in the same run."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmops import flavor

STEPS = Path(__file__).with_name("flavor_steps.py")
KIB = 1024
VERSIONS = 100

Table = list[tuple[str, str, str, str]]


class Bench:
    """A store, a base directory that can vanish, and eight adapters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = str(folder / "base")
        self.adapters = [str(folder / f"a{i}") for i in range(8)]
        self.env = {
            **os.environ,
            "LLMOPS_HOME": str(folder / "home"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "STEP_RESULT": str(folder / "result.json"),
            "TQDM_DISABLE": "1",
        }
        self.env.pop("OMP_NUM_THREADS", None)  # the tests' setting; here all cores count

    def step(self, name: str, *arguments: str, **env: str) -> dict[str, Any]:
        """Runs a step in a new process."""
        command = [sys.executable, str(STEPS), name, *arguments]
        done = subprocess.run(
            command,
            env={**self.env, **env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads((self.folder / "result.json").read_text()))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("flavor-bench")
    found = Bench(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMOPS_HOME", found.env["LLMOPS_HOME"])
        patch.setenv("MLFLOW_TRACKING_URI", found.env["MLFLOW_TRACKING_URI"])
        patch.chdir(folder)
        cached = flavor.ensure_base("smollm2-135m-instruct").directory
    shutil.copytree(cached, found.base)
    found.step("make_adapters", found.base, str(folder))
    yield found
    shutil.rmtree(folder, ignore_errors=True)


def show(title: str, rows: Table) -> None:
    """A table on the terminal."""
    lines = [("", "llmops", "mlflow.transformers", "bar"), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(4)]
    print(f"\n\n{title}")
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def artifacts(bench: Bench, uri: str) -> Path:
    """Where the store keeps a logged model."""
    (found,) = bench.folder.glob(f"mlruns/*/models/{uri.removeprefix('models:/')}")
    return found


@pytest.mark.timeout(1800)
def test_round_trip_and_bytes(bench: Bench) -> None:
    live, merged = str(bench.folder / "live.pt"), str(bench.folder / "merged")
    bench.step("live_logits", bench.base, bench.adapters[0], live)
    uris = bench.step("log_forms", bench.base, bench.adapters[0], merged)
    peer = bench.step("peer_forms", bench.base, bench.adapters[0])
    before = sorted(bench.folder.glob("mlruns/*/models/*"))
    hidden = Path(bench.base).rename(bench.folder / "hidden")
    aside = Path(merged).rename(bench.folder / "hidden-merged")
    rows: Table = []
    try:
        for form, uri in uris.items():
            key = "tuned" if "dapter" in form or form == "PeftModel" else "merged"
            found = bench.step("our_logits", uri, live, key, LLMOPS_HOME=str(bench.folder / form))
            rows.append((f"{form}: largest logit difference", str(found["difference"]), "", "0.0"))
            assert found["difference"] == 0.0, form
            shutil.rmtree(bench.folder / form)
        for form, uri in peer.items():
            found = bench.step("peer_logits", uri, live)
            said = found.get("error") or f"{found['difference']:.1f}"
            rows.append((f"PeftModel, {form}", "", said, ""))
    finally:
        hidden.rename(bench.base)
        aside.rename(merged)
    weights = (Path(bench.adapters[0]) / "adapter_model.safetensors").stat().st_size
    ours = min(size(folder) for folder in before if (folder / "artifacts/adapter").is_dir())
    theirs = {form: size(artifacts(bench, uri)) for form, uri in peer.items()}
    limit = 1.02 * weights + 64 * KIB
    rows.append(
        (
            f"bytes of a version (adapter file {weights:,})",
            f"{ours:,}",
            ", ".join(f"{form} {n:,}" for form, n in theirs.items()),
            f"{limit:,.0f}",
        )
    )
    show("Round trip in a new process, base directory gone, fp32", rows)
    assert ours <= limit


@pytest.mark.timeout(1800)
def test_many_versions_of_one_base(bench: Bench) -> None:
    before = size(bench.folder / "mlruns") if (bench.folder / "mlruns").exists() else 0
    bench.step("log_many", bench.base, str(VERSIONS), *bench.adapters)
    stored = size(bench.folder / "mlruns") - before
    weights = (Path(bench.adapters[0]) / "adapter_model.safetensors").stat().st_size
    limit = size(Path(bench.base)) + VERSIONS * (1.02 * weights + 64 * KIB)
    show(
        f"{VERSIONS} versions of one base",
        [("bytes in the store", f"{stored:,}", "", f"{limit:,.0f}")],
    )
    assert stored <= limit


@pytest.mark.timeout(1800)
def test_time_to_log_and_register(bench: Bench) -> None:
    rows = bench.step("log_times", bench.base, bench.adapters[0], "21")["rows"]
    ours, theirs, loading = (statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(a / b for a, b, _ in rows)
    show(
        "Log and register, median of 21 in turn",
        [
            ("seconds", f"{ours:.2f}", f"{theirs:.2f} + {loading:.2f} to load the base", ""),
            ("ratio to log_model(base_model_path=…) alone", f"{ratio:.2f}", "1", "1"),
        ],
    )


@pytest.mark.timeout(1800)
def test_eight_versions_together(bench: Bench) -> None:
    with_uris = [f"models:/many/{i + 1}" for i in range(8)]
    bench.step("load_ours", *with_uris)  # adapters into the cache
    peer = bench.step("peer_forms", bench.base, bench.adapters[0])["base_model_path"]
    ratios, ours, theirs = [], [], []
    for _ in range(3):
        one = bench.step("load_ours", with_uris[0])
        eight = bench.step("load_ours", *with_uris)
        ratios.append((eight["seconds"] / one["seconds"], eight["memory"] / one["memory"]))
        ours.append((one, eight))
        theirs.append((bench.step("load_theirs", peer), bench.step("load_theirs", *[peer] * 8)))
    seconds, memory = (statistics.median(column) for column in zip(*ratios, strict=True))
    one, eight = ours[-1]
    their_one, their_eight = theirs[-1]
    show(
        "Eight versions of one base, loaded together and used",
        [
            (
                "seconds, 1 and 8",
                f"{one['seconds']:.2f}, {eight['seconds']:.2f}",
                f"{their_one['seconds']:.2f}, {their_eight['seconds']:.2f}",
                "",
            ),
            (
                "resident MB, 1 and 8",
                f"{one['memory'] / 1e6:.0f}, {eight['memory'] / 1e6:.0f}",
                f"{their_one['memory'] / 1e6:.0f}, {their_eight['memory'] / 1e6:.0f}",
                "",
            ),
            ("time, 8 to 1 (median of 3)", f"{seconds:.2f}", "", "1.5"),
            ("memory, 8 to 1 (median of 3)", f"{memory:.2f}", "", "1.25"),
        ],
    )


@pytest.mark.timeout(1800)
def test_predict(bench: Bench) -> None:
    uri = bench.step("peer_forms", bench.base, bench.adapters[0])["base_model_path"]
    found = bench.step("predict", "models:/many/1", uri)
    ours, theirs = found["ours"], found["theirs"]
    show(
        "python_function, 32 prompts x 32 tokens, CPU",
        [
            ("tokens", str(ours["tokens"]), str(theirs["tokens"]), ""),
            ("tokens/s", f"{ours['rate']:.1f}", f"{theirs['rate']:.1f}", ""),
            ("ratio", f"{ours['rate'] / theirs['rate']:.1f}", "1", "5"),
        ],
    )


def test_digest_check(bench: Bench) -> None:
    found = bench.step("digest_check", bench.base)
    show(
        "Check of a cached base",
        [
            ("unchanged, ms", f"{found['manifest']:.1f}", "", "50"),
            ("every byte, ms", f"{found['every_byte']:.0f}", "", ""),
        ],
    )
