"""The command line: a thin command per public function."""

from typing import Annotated

import typer

from layercliff.cli import model_commands, other_commands
from layercliff.cli.from_spec import Commands, Once
from layercliff.output import say

app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
)


def _version(wanted: bool) -> bool:
    if wanted:
        from layercliff import __version__

        say(f"layercliff {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """See where a language model's decision forms, and how many blocks can go before it collapses."""


model_commands.register(app)
other_commands.register(app)
for command in app.registered_commands:
    command.cls = Once
