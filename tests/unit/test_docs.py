"""The documentation says what the program does: pages, links, commands and snippets are checked."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import click
import generator
import pytest
import yaml
from generator.__main__ import main as generate

import llmops
from llmops import errors
from llmops.cli.main import QUIET, VERBS, cli
from llmops.recipe import catalog
from llmops.recipe.load import load_recipe
from llmops.recipe.reading import POLICY, kind_of
from llmops.recipe.schema import Policy, Recipe

ROOT = Path(llmops.__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "recipes").rglob("*.md")],
    key=str,
)
OURS = re.compile(r"(?:\$ |- run: |run: )?(?:\.venv/bin/)?(llmops\s.+)")
SHELL = {"|", "||", "&&", ";", ">", ">>", "2>", "&"}


class Fence(NamedTuple):
    """A fenced block: page, line of its first line, language, text."""

    page: Path
    line: int
    language: str
    text: str


@cache
def fences() -> list[Fence]:
    return [fence for page in PAGES for fence in fences_of(page)]


def fences_of(page: Path) -> Iterator[Fence]:
    language, begin, body = None, 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        marker = re.match(r"\s*```(\w*)", line)
        if marker and language is None:
            language, begin, body = marker[1], number + 1, []
        elif marker:
            yield Fence(page, begin, str(language), inspect.cleandoc("\n" + "\n".join(body)))
            language = None
        else:
            body.append(line)
    assert language is None, f"{page}: a fence is not closed"


def prose_of(page: Path) -> str:
    return re.sub(
        r"^\s*```.*?^\s*```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def commands() -> list[tuple[str, str]]:
    """Every command line of ours in a fenced block, with the place it stands at."""
    found = []
    for fence in fences():
        text = fence.text.replace("\\\n", " ")
        for line in text.splitlines():
            if match := OURS.fullmatch(line.strip()):
                found.append((f"{fence.page.relative_to(ROOT)}:{fence.line}", match[1]))
    return found


def arguments_of(line: str) -> list[str]:
    """The words of a command up to the first operator of the shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words = list(lexer)
    end = next((i for i, word in enumerate(words) if word in SHELL), len(words))
    return words[1:end]


def parsed(words: list[str]) -> click.Context:
    """The words as click reads them; nothing is run."""
    context = click.Context(cli, info_name="llmops")
    while words and words[0] in ("--debug", "--version", "--help"):
        words = words[1:]
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"no verb {words[0]}"
        name, *words = words
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name, parent=context)
    if "--help" in words:
        words.remove("--help")
        return command.make_context(command.name, words, parent=context, resilient_parsing=True)
    return command.make_context(command.name, words, parent=context)


def snippets() -> list[tuple[str, dict[str, Any]]]:
    """YAML blocks that are recipes or parts of one."""
    found = []
    for fence in fences():
        content = yaml.safe_load(fence.text) if fence.language == "yaml" else None
        if isinstance(content, dict) and set(content) <= set(Recipe.model_fields):
            found.append((f"{fence.page.relative_to(ROOT)}:{fence.line}", content))
    return found


def merged(base: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in part.items():
        old = both.get(key)
        both[key] = (
            merged(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
        )
    return both


@cache
def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose_of(page), flags=re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in words}


def test_generated_pages_are_what_the_code_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # the width of a page is not that of a terminal
    assert list(generator.drifted()) == [], "run `make docs`"


def test_a_page_that_drifted_is_named_and_written_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copy(generator.REFERENCE / "metrics.md", tmp_path)
    monkeypatch.setattr(generator, "REFERENCE", tmp_path)
    monkeypatch.setattr("sys.argv", ["generator", "--check"])
    assert generate() == 1
    assert "cli.md: differs" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.md"]
    monkeypatch.setattr("sys.argv", ["generator"])
    assert generate() == 0
    monkeypatch.setattr("sys.argv", ["generator", "--check"])
    assert generate() == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_images_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose_of(page))
    for link in links:
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.is_file(), f"{link}: no such file"
        assert path.is_relative_to(ROOT), f"{link}: outside the repository"
        assert not anchor or anchor in anchors_of(path), f"{link}: no such heading"


def test_every_page_is_on_the_map() -> None:
    linked = set(re.findall(r"\]\(([^)#]+\.md)\)", (DOCS / "README.md").read_text("utf-8")))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}
    assert linked == pages


def test_the_readme_leads_to_the_map() -> None:
    # It lists a few pages to start with; the map, which has them all, must be one click away.
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, section = readme.partition("\n## Documentation\n")
    assert "](docs/README.md)" in section.partition("\n- ")[0]


def test_contributing_names_every_target_of_its_table_as_make_does() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("| Target |")[2].partition("\n\n")[0]
    named = re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert len(named) > 5
    assert set(named) <= set(targets)


def test_commands_exist() -> None:
    found = commands()
    assert len(found) > 20
    for place, line in found:
        try:
            parsed(arguments_of(line))
        except (click.ClickException, AssertionError) as error:
            pytest.fail(f"{place}: {line}: {error}")


def test_a_wrong_command_would_be_found() -> None:
    for line in ("llmops trian x", "llmops run", "llmops base rm x", "llmops gate x --suit y"):
        with pytest.raises((click.ClickException, AssertionError)):
            parsed(arguments_of(line))


def test_verbs_in_the_text_exist() -> None:
    for page in PAGES:
        for verb in re.findall(r"`llmops (\w+)", prose_of(page)):
            assert verb in VERBS, f"{page}: llmops {verb}"


def test_overrides_in_commands_are_keys_of_a_recipe() -> None:
    seen = 0
    for place, line in commands():
        values = parsed(arguments_of(line)).params
        given = [word for word in values.get("given", ()) if "=" in word]
        if overrides := values.get("overrides") or given:
            seen += 1
            try:
                load_recipe(catalog.find("quickstart"), overrides)
            except errors.ConfigError as error:
                pytest.fail(f"{place}: {line}: {error}")
    assert seen > 2


def test_recipes_in_snippets_fit_the_schema() -> None:
    whole = yaml.safe_load(catalog.find("quickstart").read_text(encoding="utf-8"))
    found = snippets()
    assert any("schema_version" in content for _, content in found)
    for place, content in found:
        own = {**whole, "data": {}} if "path" in content.get("data", {}) else whole
        recipe = content if "schema_version" in content else merged(own, content)
        try:
            Recipe.model_validate(recipe)
        except ValueError as error:
            pytest.fail(f"{place}: {error}")


def test_policies_in_snippets_fit_the_schema() -> None:
    found = [yaml.safe_load(fence.text) for fence in fences() if fence.language == "yaml"]
    policies = [
        content
        for content in found
        if isinstance(content, dict) and kind_of(content) == POLICY and "gate" in content
    ]
    assert policies
    for content in policies:
        Policy.model_validate(content)


def test_the_error_page_shows_the_tree_and_every_code() -> None:
    page = (DOCS / "reference" / "exit-codes-and-errors.md").read_text(encoding="utf-8")
    drawn = inspect.cleandoc(errors.__doc__ or "").splitlines()
    tree = [line.strip() for line in drawn if "Error  " in line]
    assert len(tree) > 5
    for line in tree:
        assert f"\n{line}\n" in page
    codes = [value for name, value in vars(errors).items() if name.startswith("EXIT_")]
    for code in codes:
        assert f"\n| {code} | " in page


def test_every_variable_that_the_code_reads_is_explained() -> None:
    page = (DOCS / "reference" / "environment-variables.md").read_text(encoding="utf-8")
    sources = [*(ROOT / "llmops").rglob("*.py"), *(ROOT / "mlflow_plugins").rglob("*.py")]
    read = {
        name
        for path in sources
        for name in re.findall(r'"((?:LLMOPS|MLFLOW|HF)_[A-Z_]+)"', path.read_text("utf-8"))
    }
    assert "LLMOPS_HOME" in read
    for name in read | set(QUIET):
        assert f"`{name}" in page, name
    for name, value in QUIET.items():
        assert f"| `{name}` | `{value}`" in page


def test_the_layers_are_those_that_are_enforced() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = project["tool"]["importlinter"]["contracts"][0]["layers"]
    enforced = "\n".join(contract).replace("llmops.", "")
    assert enforced in {fence.text for fence in fences() if fence.page.name == "layers.md"}


def test_the_figures_have_their_places() -> None:
    # What is measured is put between markers, so that it can be replaced by a newer measurement.
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(
        r"<!-- demo-output -->\n```text\n.+?\n```\n<!-- /demo-output -->", readme, re.S
    )
