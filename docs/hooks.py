"""Pages that the build writes from the program itself: commands with options, public names, what results consist of."""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cached_property
from typing import Any, get_args, get_type_hints

import typer
import typer.cli

import layercliff
from layercliff.cli.app import app
from layercliff.run.spec import about


def commands() -> str:
    """Every command, as ``--help`` says it."""
    command = typer.main.get_command(app)
    text = typer.cli.get_docs_for_click(obj=command, ctx=typer.Context(command), name="layercliff")
    return text.split("\n", 1)[1]  # the page has a title of its own


def names() -> str:
    """Every public name, verbs first."""
    ordered = sorted(layercliff.__all__, key=lambda name: (name[0].isupper(), name.lower()))
    written = [f"::: layercliff.{name}\n\n{options(getattr(layercliff, name))}" for name in ordered]
    parts = [f"::: {part.__module__}.{part.__qualname__}" for part in records()]
    return "\n\n".join([*written, "## What results consist of", *parts])


def options(public: Any) -> str:
    """The options of a public function, from its spec, as a table."""
    if not hasattr(public, "spec"):
        return ""
    rows = [
        f"| `{one.name}` | {_default(one)} | {about(one).help} |"
        for one in fields(public.spec)
        if one.init and about(one).help
    ]
    return "\n".join(["| option | default | |", "|---|---|---|", *rows])


def _default(one: Any) -> str:
    return "(needed)" if one.default is MISSING else f"`{one.default!r}`"


def records() -> list[type]:
    """The data classes that public ones and calls give out, one within the other, models' insides apart."""
    public = [getattr(layercliff, name) for name in layercliff.__all__]
    found: list[type] = []
    waiting = [one for name in public for one in given_out(name)]
    while waiting:
        one = waiting.pop(0)
        if one not in found:
            found.append(one)
            waiting += given_out(one)
    own = [one for one in found if one not in public and not one.__module__.startswith("layercliff.models.")]
    return sorted(own, key=lambda one: (one.__module__, one.__qualname__))


def given_out(name: Any) -> Iterator[type]:
    """The data classes of this package that are a class's fields and properties, or that a call returns."""
    if isinstance(name, type):
        types = [field.type for field in fields(name)] if is_dataclass(name) else []
        for member in vars(name).values():
            call = (
                member.fget
                if isinstance(member, property)
                else member.func
                if isinstance(member, cached_property)
                else None
            )
            types += [get_type_hints(call).get("return")] if call else []
    else:
        types = [get_type_hints(name).get("return")]
    for one in types:
        yield from (part for part in parts(one) if is_dataclass(part) and part.__module__.startswith("layercliff."))


def parts(one: Any) -> Iterator[Any]:
    """A type and what stands within its brackets."""
    yield one
    for inner in get_args(one):
        yield from parts(inner)


WRITTEN: dict[str, Callable[[], str]] = {"reference/commands.md": commands, "reference/python.md": names}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by mkdocs for each page."""
    write = WRITTEN.get(page.file.src_uri)
    return markdown + write() if write else markdown
