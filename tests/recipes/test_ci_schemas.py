"""The ready files against the schemas of GitHub and GitLab, which check-jsonschema brings along."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llmops.recipe import catalog

SCHEMAS = {
    "github/gate.yml": ("vendor.github-workflows",),
    "github/action.yml": ("vendor.github-actions",),
    "gitlab/gate.gitlab-ci.yml": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}


@pytest.mark.parametrize(("file", "schema"), SCHEMAS.items(), ids=SCHEMAS.keys())
def test_a_file_is_what_its_ci_reads(file: str, schema: tuple[str, ...]) -> None:
    path = catalog.folder() / catalog.CI / file
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
