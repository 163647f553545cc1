"""The ready files for CI: their shell steps are taken from them, checked, and run."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from click.testing import CliRunner
from comment_server import github, on_github
from servers import environment, machine, mlflow_server

from llmops.cli.main import cli
from llmops.recipe import catalog

FOLDER = catalog.folder() / catalog.CI
ACTION = yaml.safe_load((FOLDER / "github" / "action.yml").read_text())
WORKFLOW = yaml.safe_load((FOLDER / "github" / "gate.yml").read_text())
GITLAB = yaml.safe_load((FOLDER / "gitlab" / "gate.gitlab-ci.yml").read_text())
JENKINS = (FOLDER / "jenkins" / "Jenkinsfile").read_text()
STRICT = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
"""How GitHub runs `shell: bash`."""
RECIPE = """\
schema_version: 1
name: own
data: {{path: own.csv, prompt: q, completion: a}}
train: {{base: {base}, max_steps: 2, batch_size: 4, learning_rate: 1.0e-2, save_steps: 2, lora: {{rank: 4}}}}
flavor: {{model: own}}
compare: {{scorers: [likelihood], max_tokens: 4, traces: false}}
gate: {{require: [{{metric: likelihood, must: not_regress, margin: 0.9}}], min_prompts: 5}}
serve: null
"""


def steps() -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}


def scripts() -> Iterator[tuple[str, str, str]]:
    """Every shell script of the files, with its place and its shell."""
    for name, step in steps().items():
        yield f"github {name}", "bash", step["run"]
    for part in ("before_script", "script"):
        yield f"gitlab {part}", "bash", "\n".join(GITLAB["gate"][part])
    for i, text in enumerate(re.findall(r"sh '''(.*?)'''", JENKINS, re.DOTALL)):
        yield f"jenkins {i}", "sh", text


@pytest.mark.parametrize(
    ("shell", "text"), [s[1:] for s in scripts()], ids=[s[0] for s in scripts()]
)
def test_each_script_is_valid_and_takes_nothing_foreign_as_code(shell: str, text: str) -> None:
    checked = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "${{" not in text, "an expression in a script is code; it belongs into env"


def test_every_action_is_pinned_to_a_commit() -> None:
    uses = re.findall(
        r"uses: (\S+)(.*)", "".join(p.read_text() for p in (FOLDER / "github").glob("*.yml"))
    )
    others = [(name, note) for name, note in uses if not name.startswith("./")]
    assert len(others) == 5
    for name, note in others:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name), name
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", note), "the release that the commit is"


def test_the_workflow_has_the_least_permissions_and_promotes_from_the_default_branch_only() -> None:
    job = WORKFLOW["jobs"]["gate"]
    assert WORKFLOW["permissions"] == {}
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    checkout, gate = job["steps"]
    assert checkout["with"] == {"persist-credentials": False}
    assert gate["with"]["promote"] == (
        "${{ github.event_name == 'push'"
        " && github.ref_name == github.event.repository.default_branch }}"
    )
    assert "head.repo.full_name == github.repository" in job["if"], "no fork gets the server"
    assert "pull_request_target" not in WORKFLOW[True], "YAML reads the key `on` as true"
    assert steps()["Promote"]["if"] == "inputs.promote == 'true'"
    text = "\n".join(GITLAB["gate"]["script"])
    assert text.index("CI_DEFAULT_BRANCH") < text.index("llmops promote")
    assert "not { changeRequest() }" in JENKINS


def test_base_model_and_answers_are_kept_also_after_a_rejection() -> None:
    every = ACTION["runs"]["steps"]
    (restored,) = (s for s in every if "cache/restore" in s.get("uses", ""))
    (saved,) = (s for s in every if "cache/save" in s.get("uses", ""))
    assert saved["if"] == "always()"
    assert restored["with"]["path"] == saved["with"]["path"] == "${{ runner.temp }}/llmops"
    assert restored["with"]["key"] == saved["with"]["key"]
    assert saved["with"]["key"].startswith(restored["with"]["restore-keys"])
    assert GITLAB["gate"]["cache"]["when"] == "always"


def test_they_are_copied_by_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["recipes", "cp", "ci"], catch_exceptions=False)
    assert done.output == "ci\n  Next: less ci/README.md\n"
    text = (tmp_path / "ci" / "README.md").read_text()
    named = re.findall(r"`(?:cp|.*?<br>`cp) (ci/\S+) ", text) + re.findall(r"cp (ci/\S+) ", text)
    assert len(set(named)) == 4
    assert all((tmp_path / name).is_file() for name in named)


class Runner:
    """Runs the action's steps as GitHub does: variables and outputs go from step to step by files."""

    def __init__(self, folder: Path, env: dict[str, str], inputs: dict[str, str]) -> None:
        self.folder, self.inputs, self.candidate = folder, inputs, ""
        self.env = {**env, "RUNNER_TEMP": str(folder / "temp")}
        for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
            self.env[name] = str(folder / name)
            (folder / name).write_text("")
        (folder / "temp").mkdir(exist_ok=True)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        step = steps()[name]
        given = {key: self._value(text) for key, text in step.get("env", {}).items()}
        done = subprocess.run(
            [*STRICT, step["run"]],
            cwd=self.folder,
            env={**self.env, **given},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = (self.folder / "GITHUB_ENV").read_text().splitlines()
        self.env.update(line.split("=", 1) for line in lines)
        outputs = (self.folder / "GITHUB_OUTPUT").read_text().splitlines()
        self.candidate = dict(line.split("=", 1) for line in outputs).get("candidate", "")
        return done

    def _value(self, text: str) -> str:
        expression = text.removeprefix("${{ ").removesuffix(" }}")
        if expression == "steps.train.outputs.candidate":
            return self.candidate
        return self.inputs[expression.removeprefix("inputs.")]


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A checkout with a recipe, and a real server; yields the environment of its jobs."""
    rows = [f"Split a pathname {i}.,Return the last access time {i}." for i in range(60)]
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot" / "own.csv").write_text("\n".join(["q,a", *rows]) + "\n")
    (tmp_path / "bot" / "recipe.yaml").write_text(RECIPE.format(base=tiny_model))
    with mlflow_server(tmp_path) as url, machine(tmp_path, url) as env:
        yield env


def test_the_steps_of_a_pull_request_and_then_of_the_merge(
    job: dict[str, str], tmp_path: Path
) -> None:
    inputs = {"recipe": "bot", "package": "pip", "token": ""}
    with github() as comments:
        env = {**job, **on_github(comments), "GITHUB_STEP_SUMMARY": ""}
        token = env.pop("GITHUB_TOKEN")
        runner = Runner(tmp_path, env, {**inputs, "token": token})
        for name in ("Install", "Train", "Gate"):
            done = runner.run(name)
            assert done.returncode == 0, done.stderr
        assert runner.candidate == "models:/own/1"
        (body,) = comments.bodies.values()
    assert "## ✅ PASSED" in body
    assert body.partition("\n")[2] + "\n" == (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    kept = sorted(path.name for path in (tmp_path / "temp" / "gate").iterdir())
    assert kept == ["gate.json", "gate.md", "gate.xml", "report.html", "train.json"]
    (run,) = mlflow.MlflowClient().search_runs(
        [mlflow.get_experiment_by_name("own").experiment_id], "tags.`llmops.kind` = 'ab'"
    )
    assert run.data.tags["llmops.pull_request"] == "7"
    assert "champion" not in mlflow.MlflowClient().get_registered_model("own").aliases
    merged = Runner(tmp_path, job, inputs)
    for name in ("Install", "Train", "Gate", "Promote"):
        done = merged.run(name)
        assert done.returncode == 0, done.stderr
    assert "no comment" not in done.stderr
    number = merged.candidate.rpartition("/")[2]
    assert mlflow.MlflowClient().get_registered_model("own").aliases["champion"] == number


def test_the_script_of_gitlab_on_the_default_branch(job: dict[str, str], tmp_path: Path) -> None:
    given = {"RECIPE": "bot", "PACKAGE": "pip", "CI_DEFAULT_BRANCH": "main"}
    env = environment(**job, **given, CI_COMMIT_BRANCH="main", GITLAB_CI="true")
    text = "\n".join([*GITLAB["gate"]["before_script"], *GITLAB["gate"]["script"]])
    done = subprocess.run(
        [*STRICT, text], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert mlflow.MlflowClient().get_registered_model("own").aliases["champion"] == "1"
    decided = json.loads((tmp_path / "gate" / "gate.json").read_text())
    assert decided["decision"]["status"] == "PASSED"
    assert (tmp_path / GITLAB["gate"]["artifacts"]["reports"]["junit"]).is_file()
