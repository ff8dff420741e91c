"""Safe YAML: documents that unfold without end, or nest too deeply, are refused before they are built."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from save_avs.errors import UsageError

if TYPE_CHECKING:
    from yaml import YAMLError

_MAX_BYTES = 1 << 18
_MAX_DEPTH = 50  # of nested collections
_MAX_VALUES = 50_000  # after all aliases are resolved


def read_yaml(path: Path) -> str:
    """Return the text of a YAML file that is safe to load.

    Raises:
        UsageError: when it is missing, too large, not UTF-8, not YAML, too deep, or unfolds to too much.
    """
    import yaml

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


def _message(error: YAMLError) -> str:
    """Return what is wrong, and in which line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    context = getattr(error, "context", None)
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return where + (" ".join(part for part in (context, problem) if part) or str(error).splitlines()[0])


def _check(text: str) -> None:
    """Go through the events of a document without building it.

    Raises:
        ValueError, yaml.YAMLError: when it cannot, or should not, be built.
    """
    import yaml

    events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
    head = list(islice(events, 3))
    if not isinstance(head[-1], yaml.MappingStartEvent):
        raise ValueError("not a mapping")
    sizes: dict[str, int] = {}  # values that each anchor stands for
    stack: list[tuple[str | None, int]] = [(None, 1)]  # open collections: anchor, values so far
    for event in chain(head, events):
        size, anchor = 0, None
        match event:
            case yaml.AliasEvent():
                if event.anchor not in sizes:
                    raise ValueError(f"undefined or recursive YAML alias *{event.anchor}")
                size = sizes[event.anchor]
            case yaml.ScalarEvent():
                size, anchor = 1, event.anchor
            case yaml.CollectionStartEvent():
                stack.append((event.anchor, 1))
            case yaml.CollectionEndEvent():
                anchor, size = stack.pop()
        if anchor is not None:
            sizes[anchor] = size
        stack[-1] = (stack[-1][0], stack[-1][1] + size)
        if len(stack) > _MAX_DEPTH:
            raise ValueError(f"lists or mappings nested more than {_MAX_DEPTH} deep")
        if stack[-1][1] > _MAX_VALUES:
            raise ValueError(f"unfolds to more than {_MAX_VALUES:,} values")
