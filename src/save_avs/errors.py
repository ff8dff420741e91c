"""Errors that a user can act on: a message of one line, and an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from save_avs._text import escape_control_chars

if TYPE_CHECKING:
    from pydantic import ValidationError


class SaveAvsError(Exception):
    """Base class of all errors that this package raises on purpose.

    The message is one line: what is wrong, and what to do about it.
    """

    exit_code = 1

    def __str__(self) -> str:
        return escape_control_chars(super().__str__())


class UsageError(SaveAvsError):
    """Wrong usage or configuration, found before any work: an invalid option, a path that does not exist."""

    exit_code = 2


class ExistingFolderError(UsageError):
    """A results folder that exists and must not be replaced."""


class MediaError(SaveAvsError):
    """A file that exists but cannot be read as video: not media, empty, audio only, truncated."""

    exit_code = 3


class DataError(SaveAvsError):
    """A file of a dataset or of weights that is missing or invalid."""

    exit_code = 3


def first_problem(error: ValidationError) -> str:
    """Format the first validation error of pydantic: the field and the reason."""
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"]))
    return f"{where}: {problem['msg']}" if where else problem["msg"]
