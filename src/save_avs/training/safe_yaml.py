"""Safe YAML: aliases, which can unfold without end, and deep nesting are refused before anything is built."""

from pathlib import Path

import yaml

from save_avs.errors import UsageError

_MAX_BYTES = 1 << 18
_MAX_DEPTH = 50  # of nested collections


def read_yaml(path: Path) -> str:
    """Return the text of a YAML file that is safe to load.

    A UsageError if it is missing, too large, not UTF-8, not YAML, too deep, or has an alias.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"larger than {_MAX_BYTES >> 10} KiB")
        text = data.decode("utf-8")
        _check(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: {_message(error)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    return text


def _message(error: yaml.YAMLError) -> str:
    """Return what is wrong, and in which line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    context = getattr(error, "context", None)
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return where + (" ".join(part for part in (context, problem) if part) or str(error).splitlines()[0])


def _check(text: str) -> None:
    """Raise a ValueError or yaml.YAMLError for a document that cannot, or should not, be built."""
    depth, is_mapping = 0, False
    for k, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if k == 2:  # after the start of the stream and of the document
            is_mapping = isinstance(event, yaml.MappingStartEvent)
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"YAML alias *{event.anchor}: write the value itself")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ValueError(f"lists or mappings nested more than {_MAX_DEPTH} deep")
    if not is_mapping:
        raise ValueError("not a mapping")
