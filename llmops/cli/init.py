"""``llmops init``: from a file of examples to a recipe that runs, in three questions at most."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmops.cli.options import emit, output_option
from llmops.errors import LlmopsError, UsageError
from llmops.records.names import MODEL_NAME

if TYPE_CHECKING:
    from llmops.data.starting.forms import Form

FILE = click.Path(path_type=Path)
EMBEDDED = "smollm2-135m-instruct"
METRICS = ("exact", "token_f1", "json_fields")
ARROW = "->"


@click.command("init")
@click.argument("file", type=FILE)
@click.option("--out", type=FILE, help="Folder of the recipe; default: the name of the file.")
@click.option("--name", help="Name of the model; default: that of the folder.")
@click.option("--prompt", help="Column with the question, or a template such as '{title}: {body}'.")
@click.option("--completion", help="Column with the answer.")
@click.option("--messages", help="Column with conversations, instead of both.")
@click.option("--test", type=FILE, help="A test file of your own; default: a share of FILE.")
@click.option("--metric", type=click.Choice(METRICS), help="How an answer is judged.")
@click.option("--base", help="Base model: a registered name, a directory or a hub id.")
@click.option("--yes", is_flag=True, help="Ask nothing: take what fits.")
@output_option
def command(file: Path, out: Path | None, name: str | None, output: str, **given: Any) -> None:
    """Write a recipe for the examples in FILE: CSV, TSV, JSON, JSON lines or Parquet.

    Recognises prompt and completion, messages, Alpaca, Dolly, ShareGPT and preference pairs by their
    columns. Asks for columns, metric and base, with an answer that fits; nothing is trained.

    Example: llmops init tickets.csv
    """
    from llmops.data.starting import fitting, project
    from llmops.files.tables import read_records

    ask = not given["yes"] and sys.stdin.isatty()
    folder = out or Path(_name(file.stem))
    project.refuse_existing(folder)  # before any question
    model = name or _name(folder.name)
    if not MODEL_NAME.fullmatch(model):
        raise UsageError(
            f"model name {model!r}: expected at most 128 letters, digits, `.`, `_` and `-`, the first"
            " a letter or digit",
            next_command=f"{shlex.join(['llmops', 'init', str(file)])} --name {_name(model)}",
        )
    records = [record for _, record in read_records(file)]
    if not records:
        raise UsageError(f"{file}: holds no rows", next_command="add examples, a row each")
    form = _form(records, given, ask=ask, file=file)
    keys = {**form.keys, **_slices(records, form)}
    rows = _rows(keys, file)
    found = fitting.fitting(rows)
    _try(keys, file, given["test"], found.test_fraction)
    fit = _metric(found, given["metric"], ask=ask)
    base = given["base"] or _asked("Base model", EMBEDDED, ask=ask)
    made = project.Project(model, keys, file, given["test"], base, fit, on_cpu=not _has_gpu())
    path = project.write(made, folder)
    facts = [
        f"{file}: {len(records):,} rows, {form.name}",
        f"metric: {fit.metric} ({fit.why})",
        *([form.note] if form.note else []),
        f"wrote {path}",
    ]
    then = shlex.join(["llmops", "run", str(folder)])
    look = shlex.join(["llmops", "data", str(folder), "--out", str(folder / "data")])
    emit(
        output,
        "\n".join([*facts, f"  Next: {look}", f"        {then}"]),
        {"recipe": str(path), "form": form.name, "metric": fit.metric, "next": then},
    )


def _form(records: list[dict[str, Any]], given: dict[str, Any], *, ask: bool, file: Path) -> Form:
    """Return how the file is read: as the options say, else as it is recognised, confirmed if asked."""
    from llmops.data.starting.forms import Form, recognised

    columns = list(dict.fromkeys(column for record in records for column in record))
    if given["messages"]:
        return Form("messages", {"messages": given["messages"]})
    if given["prompt"] and given["completion"]:
        return Form("columns by name", _pair(given["prompt"], given["completion"], columns))
    if given["prompt"] or given["completion"]:
        raise UsageError("--prompt and --completion belong together", next_command=_again(file))
    form = recognised(records)
    if not ask or "messages" in form.keys:
        return form
    click.echo(f"{file}: {len(records):,} rows; columns: {', '.join(columns)}")
    known = form.keys.get("template") or form.keys["prompt"]
    default = (
        f"{known!r} {ARROW} {form.keys['completion']}"
        if "template" in form.keys
        else (f"{known} {ARROW} {form.keys['completion']}")
    )
    said = _asked(f"Question {ARROW} answer", default, ask=True)
    return form if said == default else Form("columns by name", _split(said, file, columns))


def _split(said: str, file: Path, columns: list[str]) -> dict[str, str]:
    prompt, arrow, completion = (part.strip() for part in said.partition(ARROW))
    if not (prompt and arrow and completion):
        raise UsageError(f"{said!r}: expected COLUMN {ARROW} COLUMN", next_command=_again(file))
    return _pair(prompt.strip("'\""), completion, columns)


def _pair(prompt: str, completion: str, columns: list[str]) -> dict[str, str]:
    """Return the keys for a column, whatever braces its name has, or for a template."""
    if prompt in columns or "{" not in prompt:
        return {"prompt": prompt, "completion": completion}
    return {"template": prompt.replace("\\n", "\n"), "completion": completion}


def _again(file: Path) -> str:
    return f"{shlex.join(['llmops', 'init', str(file)])} --prompt COLUMN --completion COLUMN"


@contextmanager
def _no_recipe_yet(file: Path) -> Iterator[None]:
    """Replace a next command that changes a recipe, for there is none, by one with our options."""
    try:
        yield
    except LlmopsError as error:
        said = error.next_command or "data.prompt="
        if re.search(r"data\.(prompt|completion|template)=", said):
            said = _again(file)
        said = re.sub(r"llmops (data|run) RECIPE", shlex.join(["llmops", "init", str(file)]), said)
        said = said.replace("data.messages=", "--messages ").replace("data.test.path=", "--test ")
        error.next_command = said
        raise


def _rows(keys: Mapping[str, Any], file: Path) -> list[dict[str, Any]]:
    """Read the examples as the recipe will; a wrong column is refused here."""
    from llmops.data.sources.table import read_table
    from llmops.recipe.data import Data
    from llmops.recipe.template import Template

    if "template" in keys:
        Template(keys["template"])  # its own error, not that of a section
    with _no_recipe_yet(file):
        return read_table(Data.model_validate({"path": file, **keys}), file, "FILE").rows


def _try(keys: Mapping[str, Any], file: Path, test: Path | None, share: float) -> None:
    """Split the examples as the recipe will, so that one that is written can be run."""
    from tempfile import TemporaryDirectory

    from llmops.data import prepare
    from llmops.recipe.data import Data

    own = {"test_fraction": share} if test is None else {"test": {"path": test}}
    with _no_recipe_yet(file), TemporaryDirectory() as folder:
        config = Data.model_validate({"path": file, **keys, **own})
        prepare(config, Path(folder), name="try", seed=0)


def _metric(fit: Any, chosen: str | None, *, ask: bool) -> Any:
    from dataclasses import replace

    metric = chosen
    if metric is None and ask:
        metric = click.prompt(
            f"Metric ({fit.why})", default=fit.metric, type=click.Choice(METRICS), err=True
        )
    return fit if metric in (None, fit.metric) else replace(fit, metric=metric, why="as you chose")


def _slices(records: list[dict[str, Any]], form: Form) -> dict[str, list[str]]:
    from llmops.data.starting.forms import slice_columns
    from llmops.recipe.template import Template

    used = set(form.keys.values())
    if "template" in form.keys:
        used |= set(Template(form.keys["template"]).columns)
    found = slice_columns(records, used)
    return {"slices": found} if found else {}


def _asked(question: str, default: str, *, ask: bool) -> str:
    if not ask:
        return default
    return str(click.prompt(question, default=default, err=True)).strip()


def _has_gpu() -> bool:
    """Return whether there is an NVIDIA card, without the seconds that importing torch takes."""
    return Path("/proc/driver/nvidia/version").exists()


def _name(text: str) -> str:
    """Return a name that MLflow and the command line take: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "model"
