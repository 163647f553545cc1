"""What a gate leaves for CI: files, the job's summary, annotations, a comment on the pull request.

Each file is written twice: before the comparison, to say that there is no verdict, and after it. So a
file that cannot be written is refused before anything is spent, and a job that is killed leaves nothing
that looks like a verdict.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llmops.cli.options import SCHEMA_VERSION, run_page
from llmops.errors import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    LlmopsError,
    UsageError,
    first_line,
)
from llmops.files.output import check_output, write_output
from llmops.progress import say

if TYPE_CHECKING:
    from llmops.records import Comparison, Decision

Function = TypeVar("Function", bound=Callable[..., Any])

FILES = {
    "junit": "Also write the decision as JUnit XML, one test case for each requirement.",
    "summary": "Also write the decision as Markdown. $GITHUB_STEP_SUMMARY gets it in any case.",
    "json": "Also write what --output json prints.",
    "report": "Also write the HTML report. In MLflow, the run has it as report/report.html.",
}
"""Options that name a file, and what it gets."""


def ci_options(function: Function) -> Function:
    """Add the options for CI; the command gets them as ``outputs``, and its failure is written too."""

    @functools.wraps(function)
    def call(*, comment: bool, **given: Any) -> Any:
        files = {name: path for name in FILES if (path := given.pop(f"{name}_file")) is not None}
        subject = str(given["policy_file"] or next(iter(given["given"]), "gate"))
        reads = [Path(subject), *(each for each in given.values() if isinstance(each, Path))]
        outputs = Outputs(files, comment, subject)
        try:
            outputs.begin(reads)
            return function(**given, outputs=outputs)
        except BaseException as error:
            outputs.failed(error)
            raise

    wrapped: Any = click.option(
        "--comment",
        is_flag=True,
        help="Write the summary as one comment on the pull request, and update it at the next push."
        " GitHub: needs GITHUB_TOKEN; GitLab: GITLAB_TOKEN. A failure is only a warning.",
    )(call)
    for name, text in reversed(FILES.items()):
        kind = click.Path(path_type=Path, dir_okay=False)
        wrapped = click.option(f"--{name}", f"{name}_file", type=kind, metavar="FILE", help=text)(
            wrapped
        )
    return wrapped  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Shown:
    """A decision as each output shows it.

    Attributes:
        decision: Decision of the gate.
        uri: The version that was judged.
        comparison: Result of the comparison; ``None`` for a decision that was made earlier.
        summary: Markdown.
        record: What ``--output json`` prints.
        report: Returns the HTML report; called only if it is asked for.
    """

    decision: Decision
    uri: str
    comparison: Comparison | None
    summary: str
    record: dict[str, Any]
    report: Callable[[], str]


class Outputs:
    """The files and pages of one gate.

    Args:
        files: Option → file, for the options in ``FILES`` that were given.
        comment: Whether the pull request gets a comment.
        subject: What is gated, as the user named it.
    """

    def __init__(self, files: dict[str, Path], comment: bool, subject: str) -> None:
        self._files, self._comment, self._subject = files, comment, subject
        self._begun = False

    def begin(self, inputs: Iterable[Path]) -> None:
        """Refuse files that cannot be written, and write into each that there is no verdict yet.

        Raises:
            UsageError: A file cannot be written, is an input, or is named twice.
            LlmopsError: Writing it fails.
        """
        taken = list(inputs)
        for name, path in self._files.items():
            check_output(f"--{name}", path, taken)
            if any(path.resolve() == other.resolve() for other in taken):
                raise UsageError(f"--{name} {path}: named twice")
            taken.append(path)
        self._begun = True
        self._write(_no_verdict("it did not finish", "Unfinished", EXIT_FAILURE))

    def decided(self, shown: Shown) -> None:
        """Write a decision to every place.

        Raises:
            LlmopsError: A file cannot be written.
        """
        from llmops.report import wording
        from llmops.report.ci import annotation_lines, headline, junit

        decision, record = shown.decision, {"schema_version": SCHEMA_VERSION, **shown.record}
        self._write(
            {
                "junit": junit(decision, shown.uri, shown.comparison),
                "summary": shown.summary,
                "json": json.dumps(record, indent=2, default=str) + "\n",
                "report": shown.report() if "report" in self._files else "",
            }
        )
        say(f"gate: {wording.clean(headline(decision), 400)}")
        _annotate(annotation_lines(decision, shown.uri, shown.comparison))
        self._publish(shown.summary)

    def failed(self, error: BaseException) -> None:
        """Write to every place that no verdict was reached; the error itself stays what it is."""
        from llmops.report.ci import no_verdict_annotation

        message, code = _told(error)
        texts = _no_verdict(message, type(error).__name__, code)
        try:
            if self._begun:
                self._write(texts)
        except LlmopsError as other:
            say(f"warning: {other}")
        _annotate([no_verdict_annotation(message)])
        if code == EXIT_INTERRUPTED:  # who cancels a job does not wait for a server
            self._comment = False
        self._publish(texts["summary"])

    def _write(self, texts: dict[str, str]) -> None:
        for name, path in self._files.items():
            write_output(f"--{name}", path, texts[name])

    def _publish(self, summary: str) -> None:
        """Write the job's summary and the comment; a failure is a warning."""
        if place := os.environ.get("GITHUB_STEP_SUMMARY"):
            try:
                with Path(place).open("a", encoding="utf-8") as file:
                    file.write(f"{summary}\n")
            except OSError as error:
                say(f"warning: $GITHUB_STEP_SUMMARY: cannot be written: {error.strerror}")
        if not self._comment:
            return
        from llmops.gate.comment import post_comment

        try:
            page = post_comment(summary, self._subject, os.environ)
            say(f"gate: comment written {page}".rstrip())
        except LlmopsError as error:
            say(f"warning: no comment was written: {error}")


def pages(comparison: Comparison) -> tuple[dict[str, str], str]:
    """Return link text → address of a decision's pages in MLflow, and the lines that print them."""
    from llmops.store import connection, registry

    run, text = run_page(comparison)
    name, version = registry.parse(comparison.candidate.uri)
    links = {
        "Run": run,
        "Version": connection.ui(f"/models/{name}/versions/{version}"),
        "Report": f"{run}/artifacts/report/report.html",
    }
    return links, "\n".join([text, *(f"{key}: {links[key]}" for key in ("Version", "Report"))])


def _no_verdict(message: str, kind: str, code: int) -> dict[str, str]:
    """Return what each file says while there is no verdict."""
    from llmops.report.ci import no_verdict_junit, no_verdict_page, no_verdict_summary

    record = {"schema_version": SCHEMA_VERSION, "decision": None, "error": message}
    return {
        "junit": no_verdict_junit(message, kind),
        "summary": no_verdict_summary(message, code),
        "json": json.dumps({**record, "exit_code": code}, indent=2) + "\n",
        "report": no_verdict_page(message),
    }


def _told(error: BaseException) -> tuple[str, int]:
    """Return the message of an error and the exit code that the process will have."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted", EXIT_INTERRUPTED
    if isinstance(error, click.ClickException):
        return error.format_message(), EXIT_USAGE
    if isinstance(error, LlmopsError):
        return str(error), error.exit_code
    return f"{type(error).__name__}: {first_line(error)}", EXIT_FAILURE


def _annotate(lines: list[str]) -> None:
    """Print annotations in a job of GitHub; its runner reads stderr too, which holds no result."""
    if os.environ.get("GITHUB_ACTIONS", "").lower() == "true":
        for line in lines:
            say(line)
