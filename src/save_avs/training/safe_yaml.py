"""Looking over YAML before it is loaded: what unfolds without end, or nests too deep, is never built."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from save_avs.errors import UsageError

if TYPE_CHECKING:
    from yaml import YAMLError

_BYTES = 1 << 18
_DEPTH = 50  # collections within each other
_VALUES = 50_000  # that all aliases unfold to


@dataclass
class _Collection:
    """A list or mapping that is still open, and how many values it holds by now."""

    anchor: str | None
    values: int = 1


def read_yaml(path: Path) -> str:
    """The text of a YAML file that is safe to be loaded.

    Raises:
        UsageError: when it is no file, too large, no text, no YAML, too deep, or unfolds to too much.
    """
    import yaml

    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES + 1)
        if len(data) > _BYTES:
            raise ValueError(f"larger than {_BYTES >> 10} KiB")
        text = data.decode("utf-8")
        _look_over(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: {_told(error)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: no UTF-8 text") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    return text


def _told(error: YAMLError) -> str:
    """What is wrong, and in which line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    context = getattr(error, "context", None)
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return where + (" ".join(part for part in (context, problem) if part) or str(error).splitlines()[0])


def _look_over(text: str) -> None:
    """Go through YAML without building it.

    Raises:
        ValueError, yaml.YAMLError: it cannot, or should not, be built.
    """
    import yaml

    events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
    beginning = list(islice(events, 3))
    if not isinstance(beginning[-1], yaml.MappingStartEvent):
        raise ValueError("it has no keys")
    anchors: dict[str, int] = {}  # to the values that each stands for
    within = [_Collection(None)]
    for event in chain(beginning, events):
        match event:
            case yaml.AliasEvent():
                if event.anchor not in anchors:
                    raise ValueError(f"*{event.anchor} stands for nothing, or for what it is part of")
                within[-1].values += anchors[event.anchor]
            case yaml.ScalarEvent():
                within[-1].values += 1
                anchors |= {} if event.anchor is None else {event.anchor: 1}
            case yaml.CollectionStartEvent():
                within.append(_Collection(event.anchor))
            case yaml.CollectionEndEvent():
                done = within.pop()
                within[-1].values += done.values
                anchors |= {} if done.anchor is None else {done.anchor: done.values}
        if len(within) > _DEPTH:
            raise ValueError(f"lists or mappings more than {_DEPTH} deep")
        if within[-1].values > _VALUES:
            raise ValueError(f"unfolds to more than {_VALUES:,} values")
