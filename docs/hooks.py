"""Pages that the build writes from the program itself: every command with its options, every public name."""

from collections.abc import Callable
from typing import Any

import typer
import typer.cli

import layercliff
from layercliff.cli import app


def commands() -> str:
    """Every command, as ``--help`` says it."""
    command = typer.main.get_command(app)
    text = typer.cli.get_docs_for_click(obj=command, ctx=typer.Context(command), name="layercliff")
    return text.split("\n", 1)[1]  # the page has a title of its own


def names() -> str:
    """Every public name, verbs first."""
    ordered = sorted(layercliff.__all__, key=lambda name: (name[0].isupper(), name.lower()))
    return "\n\n".join(f"::: layercliff.{name}" for name in ordered)


WRITTEN: dict[str, Callable[[], str]] = {"reference/commands.md": commands, "reference/python.md": names}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by mkdocs for each page."""
    write = WRITTEN.get(page.file.src_uri)
    return markdown + write() if write else markdown
