"""What an installed wheel must offer; run with the Python of a clean environment.

python tests/e2e/check_wheel.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path

import llmops
from llmops.recipe import catalog

BIN = Path(sys.executable).parent


def main() -> None:
    assert "site-packages" in str(llmops.__file__), f"not the installed package: {llmops.__file__}"
    for group in ("mlflow.deployments", "mlflow.run_context_provider"):
        assert any(point.name == "llmops" for point in entry_points(group=group)), group
    assert catalog.folder().name == "_recipes"
    with tempfile.TemporaryDirectory() as folder:
        assert "quickstart" in run(folder, "llmops", "recipes", "ls")
        assert "schema_version: 1" in run(folder, "llmops", "recipes", "show", "quickstart")
        run(folder, "llmops", "recipes", "cp", "quickstart", "mine")
        assert "# valid; digest" in run(folder, "llmops", "validate", "mine")
        assert "llmops" in run(folder, "mlflow", "deployments", "help", "-t", "llmops")
    import mlflow

    print(f"wheel: llmops {llmops.__version__} works with mlflow {mlflow.__version__}")


def run(folder: str, *command: str) -> str:
    """Output of a console script in a folder that holds no checkout."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
