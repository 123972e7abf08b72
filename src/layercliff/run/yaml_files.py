"""YAML that users write: plain values, each key once, and no more of them than a person writes."""

from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from layercliff.errors import RunError, quoted

BYTES = 2**20
VALUES = 100_000
"""The most values that a file stands for, once its aliases are written out."""


def read(file: Path, what: str) -> Any:
    """The content of a file. `what` it is called in a refusal, such as ``study file``. Raises `RunError`."""
    try:
        if file.stat().st_size > BYTES:
            raise RunError(f"The {what} {quoted(str(file), 200)} is larger than 1 MiB: cut it into several.")
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RunError(
            f"The {what} {quoted(str(file), 200)} cannot be read as UTF-8 text: save it as UTF-8."
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(
            f"The {what} {quoted(str(file), 200)} cannot be read ({reason}): give the path of a YAML file."
        ) from error
    return parsed(text, str(file))


def parsed(text: str, name: str) -> Any:
    """The content of YAML. Raises `RunError` for what is none, and for what would fill the memory."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, name, {})
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise RunError(f"{name} is not YAML: {quoted_lines(error)}.") from error
    except RecursionError as error:
        raise RunError(f"{name} has too many lists and mappings within one another: write it flat.") from error
    except (ValueError, LookupError, AttributeError, OverflowError) as error:  # of values that a tag or a form promises
        raise RunError(
            f"{name} holds a value that is not what it is written as ({error}): put it in quotes."
        ) from error


def quoted_lines(error: yaml.YAMLError) -> str:
    """What is wrong, in one line."""
    return " ".join(str(error).split())[:300].rstrip(".")


def _count(node: Node, name: str, known: dict[int, int]) -> int:
    """How many values a node stands for, aliases written out. 0 in `known` marks one that is being counted.

    Raises `RunError` for too many, for a node within itself, and for a key that stands there twice.
    """
    if id(node) in known:
        if not known[id(node)]:
            raise RunError(f"{name} has an alias within what it stands for: write it out.")
        return known[id(node)]
    known[id(node)] = 0
    parts: list[Node] = []
    if isinstance(node, MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, ScalarNode) and key.value != "<<"]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise RunError(f"{name} holds {quoted(min(twice))} twice: leave one out.")
        parts = [part for pair in node.value for part in pair]
    elif not isinstance(node, ScalarNode):
        parts = node.value
    found = 1 + sum(_count(part, name, known) for part in parts)
    if found > VALUES:
        raise RunError(f"{name} stands for more than {VALUES:,} values once its aliases are written out: write fewer.")
    known[id(node)] = found
    return found
