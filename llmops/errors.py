"""Every error a user can cause or meet, as one tree.

    LlmopsError            exit 1   something failed while running
    ├── UsageError         exit 2   the command, the recipe or the data is wrong
    │   ├── ConfigError             one or more problems in a recipe or policy
    │   └── DataError               a dataset that cannot be used
    ├── NotFoundError      exit 2   a model, recipe or deployment that does not exist
    ├── IntegrityError     exit 1   bytes or evidence that are not what was recorded
    ├── StoreError         exit 1   the MLflow store cannot be reached or refuses
    └── ServeError         exit 1   a deployment that does not start or answer

A verdict is not an error: see ``records.Decision.exit_code`` (3 rejected, 4 inconclusive).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

__all__ = [
    "ConfigError",
    "DataError",
    "IntegrityError",
    "LlmopsError",
    "NotFoundError",
    "ServeError",
    "StoreError",
    "UsageError",
    "masked",
]

_CREDENTIALS = re.compile(
    r"""(https?://)[^\s/?\#"]+@"""  # of a web address: all before its host
    # … that contain a character which should have been escaped; "host:8000/" is no user name
    r"""|(https?://)[^\s/?\#@"\[]*:(?!\d+(?:[/?\#]|$))[^\s"]*@"""
    r"""|((?!https?:)\b[a-z][a-z0-9+.-]*://)[^\s/@:"]*:[^\s"]*@"""  # of a database
    r"""|([?&;](?:[\w-]*(?:password|passwd|pwd|token|secret|api[-_]?key|signature|credential)
        |sig|key|odbc_connect)=)[^&;\s'"\#]+""",
    re.IGNORECASE | re.VERBOSE,
)

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_REJECTED = 3
EXIT_INCONCLUSIVE = 4
EXIT_INTERRUPTED = 130


def masked(text: str) -> str:
    """Return a text with the credentials in its URLs replaced by ``***``.

    Example:
        from llmops.errors import masked

        print(masked("postgresql://me:secret@db.example/mlflow"))  # postgresql://***@db.example/mlflow
    """
    return _CREDENTIALS.sub(_without_credentials, text) if "://" in text else text


def _without_credentials(match: re.Match[str]) -> str:
    *schemes, parameter = match.groups()
    return f"{parameter}***" if parameter else f"{next(filter(None, schemes))}***@"


class LlmopsError(Exception):
    """A failure that is reported to the user as a message, without a traceback.

    Credentials in URLs are masked, whoever prints or logs the error.

    Args:
        message: Where it failed, what is wrong, what was received, what is allowed.
        next_command: The command or the step that helps; ``None`` if there is none.

    Example:
        from llmops import promote
        from llmops.errors import LlmopsError

        try:
            promote("models:/quickstart@challenger")
        except LlmopsError as error:
            print(error.message, error.next_command, error.exit_code)
    """

    exit_code = EXIT_FAILURE

    def __init__(self, message: str, *, next_command: str | None = None) -> None:
        self.message = masked(message)
        self.next_command = None if next_command is None else masked(next_command)
        super().__init__(self.message)

    def __str__(self) -> str:
        if self.next_command is None:
            return self.message
        return f"{self.message}\n  Next: {self.next_command}"

    def in_words(self, message: str) -> Self:
        """Return the same error with another message."""
        message = masked(message)
        other = type(self).__new__(type(self), message)
        vars(other).update(vars(self), message=message)
        return other


class UsageError(LlmopsError):
    """A wrong command line, or a wrong argument of a function."""

    exit_code = EXIT_USAGE


class ConfigError(UsageError):
    """All problems of a recipe, reported together.

    Args:
        problems: One line for each problem, with file, line and key.
        next_command: The command that shows what is allowed.
    """

    def __init__(self, problems: list[str], *, next_command: str | None = None) -> None:
        super().__init__("\n".join(problems), next_command=next_command)
        self.problems = list(map(masked, problems))


class DataError(UsageError):
    """A dataset that cannot be read or used."""


class NotFoundError(LlmopsError):
    """A model, recipe or deployment that does not exist."""

    exit_code = EXIT_USAGE


class IntegrityError(LlmopsError):
    """Bytes that differ from those that were recorded, or evidence that was tampered with."""


class StoreError(LlmopsError):
    """An MLflow store that is unreachable, or refuses a request."""


class ServeError(LlmopsError):
    """A deployment that does not start, or does not answer."""


@contextmanager
def rephrased(change: Callable[[str], str]) -> Iterator[None]:
    """Raise each error from within as the same error with a changed message.

    Args:
        change: Returns the new message for the old one.

    Raises:
        LlmopsError: An error was raised within; its type and its other attributes are kept.
    """
    try:
        yield
    except LlmopsError as error:
        raise error.in_words(change(error.message)) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, masked, or the name of its type if it has none."""
    return masked((str(error).strip() or type(error).__name__).splitlines()[0])
