"""Errors that a user can act on: one clear line, and the exit code that goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from save_avs._text import escape_control_chars

if TYPE_CHECKING:
    from pydantic import ValidationError


class SaveAvsError(Exception):
    """The program could not do what was asked. Base of all errors we raise on purpose.

    The message is one line that says what is wrong and what to do about it.
    """

    exit_code = 1

    def __str__(self) -> str:
        return escape_control_chars(super().__str__())


class UsageError(SaveAvsError):
    """Wrong usage or configuration, found before any work: a bad option, a path that does not exist."""

    exit_code = 2


class MediaError(SaveAvsError):
    """A file that exists but cannot be read as video: text, zero bytes, sound only, torn."""

    exit_code = 3


class DataError(SaveAvsError):
    """A file of a data set or a set of weights is missing, broken, or not what it should be; it is named."""

    exit_code = 3


def first_problem(error: ValidationError) -> str:
    """Where a document is not what it should be, and why: the first of what pydantic found."""
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"]))
    return f"{where}: {problem['msg']}" if where else problem["msg"]
