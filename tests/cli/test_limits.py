"""Every numeric option of every verb, on the command line and in Python: beyond its limits it is refused at once, in a
sentence."""

import math
from collections.abc import Callable
from dataclasses import fields
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from commands import Here
from typer.models import ArgumentInfo

import layercliff
from layercliff import limits
from layercliff.cli import app as cli_app
from layercliff.errors import LayercliffError, RunError
from layercliff.models.model import Model
from layercliff.run import parsing
from layercliff.run.spec import Spec, about
from layercliff.studies.grid import Grid
from layercliff.tasks.question import Task

HUGE = 10**40
WRONG: dict[str, tuple[Any, ...]] = {
    name: (
        *((-1, HUGE) if limit.whole else (-1.0, math.nan, math.inf, -math.inf, 1e308)),
        *((0,) if limit.least == 1 and limit.whole else ()),
        *((0.0,) if limit.open_ends else ()),
        *((1.0, 1.5) if limit.most == 1 and limit.open_ends else ()),
    )
    for name, limit in limits.LIMITS.items()
}
TEXTS = {
    "protect": ("4-0", "99999999999", "0-9999999999", "-1", "a", "1-", "1-2-3", ",", "9" * 5000),
    "within": ("4-0", "0-9999999999", "-1", ","),
    "depths": ("5-2", "0-9999999999", "-1", "x", ","),
    "eps": ("nan", "inf", "1e308", "-0.5", "x", ","),
    "control": (",",),
}
"""Options whose numbers are in a text."""


COMMANDS: dict[str, Callable[..., None]] = {
    command.name or command.callback.__name__: command.callback
    for command in cli_app.app.registered_commands
    if command.callback
}


def flags(verb: str) -> dict[str, tuple[str, Any, bool]]:
    """By parameter: its flag (none of an argument), the type of its value, and whether it is needed."""
    found = {}
    for name, hint in get_type_hints(COMMANDS[verb], include_extras=True).items():
        if name == "return":
            continue
        base, about = get_args(hint)
        needed = signature(COMMANDS[verb]).parameters[name].default is Parameter.empty
        flag = (about.param_decls or (f"--{name.replace('_', '-')}",))[0]
        found[name] = ("" if isinstance(about, ArgumentInfo) else flag, base, needed)
    return found


def limit_of(verb: str, name: str) -> str:
    """What the limits of an option are called."""
    known = {one.name: about(one).limit or one.name for one in fields(getattr(COMMANDS[verb], "spec", Spec))}
    other = {"memory_bytes": "memory_gb"}.get(name, name)
    return known.get(other, other)


CASES = [
    (verb, flag, limit_of(verb, name))
    for verb in sorted(COMMANDS)
    for name, (flag, kind, _) in flags(verb).items()
    if {int, float} & {kind, *get_args(kind)} or list[int] in get_args(kind)
]


def test_every_numeric_option_has_limits() -> None:
    assert len(CASES) > 60
    assert {name for _, _, name in CASES} <= set(limits.LIMITS)
    for _, flag, name in CASES:
        assert flag == (limits.SAID.get(name) or "--" + name.replace("_", "-"))


def needed(verb: str) -> list[object]:
    """What a command cannot do without; none of it is there."""
    wanted = [flag for flag, _, needed in flags(verb).values() if needed]
    return [part for flag in wanted for part in ([flag] if flag else []) + ["nowhere"]]


def refused(done: Any) -> str:
    """The one sentence that a command ended with."""
    assert done.returncode == 2, done
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("layercliff: The option --")
    assert line.endswith(".")
    return str(line)


@pytest.mark.parametrize(("verb", "flag", "name"), CASES)
def test_the_command_line(here: Here, verb: str, flag: str, name: str) -> None:
    for value in WRONG[name]:
        assert refused(here(verb, *needed(verb), f"{flag}={value}")).startswith(f"layercliff: The option {flag} ")


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        ("prune", "protect"),
        ("prune", "within"),
        ("compare", "protect"),
        ("compare", "within"),
        ("eval", "depths"),
        ("noise", "eps"),
        ("controls", "control"),
    ],
)
def test_numbers_in_a_text(here: Here, monkeypatch: pytest.MonkeyPatch, verb: str, name: str) -> None:
    monkeypatch.setattr("layercliff.models.lookup.resolve", lambda *_: None)
    for text in TEXTS[name]:
        line = refused(here(verb, *needed(verb), f"--{name}={text}"))
        assert f"--{name}" in line
        assert len(line) < 300


PRUNING = ("remove", "to_ratio", "splits", "draws", "race", "memory_bytes")
READING = ("shots", "limit", "seed", "batch_tokens")
SEQUENCES = {
    "protect": (-1, HUGE),
    "within": (-1, HUGE),
    "depths": (-1, HUGE),
    "eps": (-1.0, math.nan, math.inf, 1e308),
}
VERBS: dict[str, tuple[str, ...]] = {
    "trace": READING,
    "plan": (*READING, "remove", "to_ratio", "memory_bytes"),
    "evaluate": (*READING, "depths"),
    "prune": (*READING, *PRUNING, "protect", "within"),
    "compare": (*READING, *PRUNING, "protect", "within"),
    "controls": (*READING, "draws"),
    "lens": (*READING, "tokens", "steps"),
    "noise": (*READING, "draws", "eps"),
    "ablate": READING,
    "similarity": ("tokens",),
    "recover": ("seeds", "updates", "batch", "rate", "rank", "distill"),
    "forecast": (*READING, "memory_bytes"),
    "claims": READING,
}
"""The numbers of each verb in Python. What is asked of a path's steps is looked at once the path is there."""


@pytest.mark.parametrize("verb", VERBS)
def test_python(tiny: Model, colours: Task, tmp_path: Path, verb: str) -> None:
    run: Callable[..., object] = getattr(layercliff, verb)
    model: object = "nowhere" if verb == "plan" else tiny
    task: object = "nowhere" if verb == "plan" else colours
    more: dict[str, Any] = {"criteria": ["margin", "tail"]} if verb == "compare" else {}
    if verb != "plan":
        more["out"] = tmp_path / "run"
    if verb == "lens":
        more["text"] = "prose"
    for name in VERBS[verb]:
        values = SEQUENCES.get(name) or WRONG["descent" if name == "steps" else name]
        for value in values:
            given = {name: [value] if name in SEQUENCES else value}
            if name == "within" and verb == "prune":
                given["criterion"] = "random"
            with pytest.raises(LayercliffError, match=r"^The option \S+ (is|holds) .* must be .*\.$"):
                run(model, task, **more, **given)
    assert not (tmp_path / "run" / "trace").exists()


def test_blocks_that_the_model_does_not_have(tiny: Model, colours: Task) -> None:
    with pytest.raises(RunError, match=r"Block 99 cannot go first .--within.: the model has blocks 0-4"):
        layercliff.prune(tiny, colours, criterion="random", within=[0, 99])
    with pytest.raises(RunError, match="All blocks of --within have to stay"):
        layercliff.prune(tiny, colours, criterion="random", within=[0], protect=[0, 1])
    with pytest.raises(RunError, match="Block 99 cannot be protected"):
        layercliff.prune(tiny, colours, protect=[99])


@pytest.mark.parametrize(
    "name", ["shots", "limit", "remove", "to_ratio", "race", "draws", "batch_tokens", "memory_gb", "seeds"]
)
def test_study_files(name: str) -> None:
    for value in (*WRONG["seed" if name == "seeds" else name], True):
        with pytest.raises(RunError, match=rf"The study: {name}\S* (is|holds) ") as refused:
            Grid.of({"models": ["a"], "tasks": ["t"], name: [value] if name == "seeds" else value})
        assert str(refused.value).endswith(".")


def test_what_is_within_the_limits() -> None:
    limits.check(shots=0, limit=1, seed=2**62, race=0.05, to_ratio=0.5, distill=0, memory_gb=1e-9, rate=1)
    assert limits.memory_bytes(4.0) == 2**32
    assert limits.memory_bytes(1e-12) == 1
    assert parsing.numbers("0, 3,5-7", "protect", "block") == (0, 3, 5, 6, 7)
    assert parsing.numbers("", "protect", "block") == parsing.numbers(None, "depths", "depth") == ()
    with pytest.raises(RunError, match=r"The option --limit is 1\.5, and must be a whole number"):
        limits.check(limit=1.5)
    with pytest.raises(RunError, match="The option --limit is True"):
        limits.check(limit=True)
    with pytest.raises(LayercliffError, match="--protect holds 4-0, which runs backwards: write 0-4"):
        parsing.numbers("1,4-0", "protect", "block")
