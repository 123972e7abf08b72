"""Commands made from specs: every option of the command line is a field of a spec."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from layercliff import RENAMED, former_names
from layercliff.errors import LayercliffError, nearest, quoted
from layercliff.output import say_sentence
from layercliff.run.spec import Spec, about, renamed

CacheOption = Annotated[
    Path | None, typer.Option(help="Where downloads and converted models are kept.", envvar="LAYERCLIFF_CACHE")
]
REQUIRED = {"out"}
"""What has to be given on the command line, though not in Python."""

USAGE: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for a command line that it cannot read."""


def command(
    spec: type[Spec], run: Callable[[Any, dict[str, Any]], None], help: str, *more: inspect.Parameter
) -> Callable[..., None]:
    """A function for typer: it makes a spec of what was given, and hands it to `run` with what was given of `more`."""

    def called(**given: Any) -> None:
        run(spec_of(spec, given), {one.name: given[one.name] for one in more})

    parameters = [*_parameters(spec), *more]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    called.__doc__ = help
    called.spec = spec  # type: ignore[attr-defined]
    return called


def extra(name: str, annotation: Any, default: Any = MISSING) -> inspect.Parameter:
    """An option that the command line alone has."""
    known = {} if default is MISSING else {"default": default}
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, **known)


def cache_dir() -> inspect.Parameter:
    """The option ``--cache-dir``, which comes last."""
    return extra("cache_dir", CacheOption, None)


def spec_of(spec: type[Spec], given: dict[str, Any]) -> Spec:
    """A spec from the command line's values. Raises `LayercliffError`."""
    values: dict[str, Any] = {}
    former = {old: given[old] for old in renamed(spec) if given[old] is not None}
    given = given | former_names.todays(former, renamed(spec), _say_renamed)
    for one in offered(spec):
        how, value = about(one), given[one.name]
        if value is None and one.default is not MISSING:
            continue
        values[one.name] = value if how.read is None else how.read(value)
    return spec(**values)


def _say_renamed(former: str, today: str) -> None:
    today = today if today.startswith(former_names.GONE) else f"--{today}"
    say_sentence(former_names.sentence(f"The option --{former}", today))


def offered(spec: type[Spec]) -> Iterator["Field[Any]"]:
    """The fields that the command line has."""
    return (one for one in fields(spec) if one.init and about(one).help)


def _parameters(spec: type[Spec]) -> Iterator[inspect.Parameter]:
    """Parameters as typer reads them: what has to be given comes first."""
    hints = get_type_hints(spec)
    found = [_parameter(one, hints[one.name]) for one in offered(spec)]
    yield from sorted(found, key=lambda one: one.default is not inspect.Parameter.empty)
    known = {one.name: about(one).kind or hints[one.name] for one in offered(spec)}
    for former, today in renamed(spec).items():
        yield extra(
            former, Annotated[known.get(today, str) | None, typer.Option(..., f"--{former}", hidden=True)], None
        )


def _parameter(one: "Field[Any]", hint: Any) -> inspect.Parameter:
    how = about(one)
    kind = how.kind or hint
    shown = one.default if how.shown is ... else how.shown
    if shown == () and kind == list[int]:
        shown, kind = None, list[int] | None
    option = typer.Option(..., *_names(one), help=how.help, metavar=how.metavar, envvar=how.environment)
    required = shown is MISSING or one.name in REQUIRED
    return extra(one.name, Annotated[kind, option], *(() if required else (shown,)))


def _names(one: "Field[Any]") -> tuple[str, ...]:
    """The option's names on the command line."""
    return about(one).names or (f"--{one.name.replace('_', '-')}",)


class Commands(TyperGroup):
    """The commands. What is none is refused in a sentence, with the nearest known one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises `LayercliffError`."""
        try:
            return super().parse_args(ctx, args)
        except USAGE as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                raise
            said = error.format_message().rstrip(".")  # type: ignore[attr-defined]
            raise LayercliffError(f"{said}: see layercliff --help.") from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A command by its name of today or, with a warning, by a former one. Raises `LayercliffError`."""
        if (today := RENAMED.get(args[0], "")) in self.commands:
            say_sentence(f"The command {args[0]} is called {today} now.")
            args = [today, *args[1:]]
        try:
            return super().resolve_command(ctx, args)
        except USAGE as error:
            known = nearest(args[0], list(self.commands))
            raise LayercliffError(f"There is no command {quoted(args[0])}: {known}") from error


class Once(TyperCommand):
    """A command that refuses an option of one value that is given twice: the first would be dropped in silence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises `LayercliffError`."""
        try:
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
            for option, times in Counter(order).items():
                if not isinstance(option, TyperOption) or option.multiple or option.is_flag or times == 1:
                    continue
                joined = ", or join its values by commas" if "joined by commas" in (option.help or "") else ""
                raise LayercliffError(f"{option.opts[0]} was given {times} times: give it once{joined}.")
            return super().parse_args(ctx, args)
        except USAGE as error:
            said = " ".join(error.format_message().split())[:300].rstrip(".")  # type: ignore[attr-defined]
            raise LayercliffError(f"{said}: see layercliff {ctx.info_name} --help.") from error
