"""The reference is made from the program: every option of every public function stands in it."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields

import pytest
from documented import ROOT

import layercliff
from layercliff.run.spec import about
from layercliff.run.subject import Subject

sys.path.insert(0, str(ROOT / "docs"))
import hooks

VERBS = [name for name in layercliff.__all__ if hasattr(getattr(layercliff, name), "spec")]


@pytest.mark.parametrize("name", VERBS)
def test_every_option_stands_there(name: str) -> None:
    spec = getattr(layercliff, name).spec
    table = hooks.options(getattr(layercliff, name))
    offered = [one for one in fields(spec) if one.init and about(one).help]
    assert len(offered) > 5
    for one in offered:
        assert f"| `{one.name}` |" in table
        assert about(one).help in table


def test_public_names_and_commands() -> None:
    written = hooks.names()
    assert all(f"::: layercliff.{name}\n" in f"{written}\n" for name in layercliff.__all__)
    assert "`layercliff noise`" in hooks.commands()
    assert "--eps" in hooks.commands()


def test_what_a_run_is_about_comes_from_its_options() -> None:
    """Every field of ``run.yaml`` but the version, and what models and tasks are resolved to, is an option, or was."""
    own = {"version", "model", "revision", "tasks", "order", *layercliff.trace.spec.gone}
    options = {one.name for one in fields(layercliff.trace.spec)}
    assert Subject.model_fields.keys() - own <= options


LISTED = (
    "metrics",
    "readout",
    "analyses/intervention_result.py",
    "analyses/registry.py",
    "pruning/assessment.py",
    "pruning/criterion.py",
    "pruning/repeats.py",
    "pruning/step.py",
    "run/session.py",
    "tasks/question.py",
)
"""Rooms and files whose public functions list their arguments, and whose data classes list their fields."""


def listed(docstring: str | None, heading: str) -> list[str]:
    """The names under a heading of a docstring: ``Args``, ``Attributes`` or ``Raises``."""
    found = re.search(rf"^{heading}:\n((?: +.*\n|\n)*)", f"{inspect.cleandoc(docstring or '')}\n", re.MULTILINE)
    return re.findall(r"^    (\w+): \S", found[1], re.MULTILINE) if found else []


def unlisted(tree: ast.Module | ast.ClassDef, of: str = "") -> Iterator[str]:
    """Arguments and fields that a docstring does not list, and names that it lists and that are none."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            fields = isinstance(node, ast.ClassDef)
            names = _fields(node) if isinstance(node, ast.ClassDef) else _arguments(node)
            written = listed(ast.get_docstring(node), "Attributes" if fields else "Args")
            if isinstance(node, ast.FunctionDef) or names:
                yield from (
                    f"{of}{node.name}: {name}" for name in sorted({*names} ^ {*written} - ({"spec"} - {*names}))
                )
            if isinstance(node, ast.ClassDef):
                yield from unlisted(node, f"{of}{node.name}.")


def _arguments(function: ast.FunctionDef) -> list[str]:
    """A function's arguments, without a spec: its options have a table."""
    given = function.args
    several = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    overload = any(ast.unparse(one) == "overload" for one in function.decorator_list)
    return [] if overload else [one.arg for one in several if one.arg not in ("self", "cls", "spec")]


def _fields(kind: ast.ClassDef) -> list[str]:
    """The public fields of a data class."""
    if not any("dataclass" in ast.unparse(one) for one in kind.decorator_list):
        return []
    named = [one.target.id for one in kind.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]
    return [name for name in named if not name.startswith("_")]


@pytest.mark.parametrize("place", LISTED)
def test_arguments_and_fields_are_listed(place: str) -> None:
    at = ROOT / "src" / "layercliff" / place
    files = sorted(at.rglob("*.py")) if at.is_dir() else [at]
    missing = [f"{file.relative_to(ROOT)}: {what}" for file in files for what in unlisted(ast.parse(file.read_text()))]
    assert missing == []


@pytest.mark.parametrize(
    "public", [*layercliff.__all__, *hooks.records()], ids=lambda one: getattr(one, "__name__", one)
)
def test_public_names_are_listed(public: str | type) -> None:
    known = getattr(layercliff, public) if isinstance(public, str) else public
    tree = ast.parse(inspect.getsource(inspect.getmodule(inspect.unwrap(known))))
    own = [node for node in tree.body if getattr(node, "name", "") == known.__name__]
    assert len(own) == 1
    assert list(unlisted(ast.Module(own, []))) == []


def test_an_unlisted_argument_is_seen() -> None:
    text = '''
@dataclass
class Found:
    """Found.

    Attributes:
        one: First.
        gone: No field.
    """

    one: int
    two: int

    def of(self, three: int) -> None: ...

def full(four: int, *, five: int) -> None:
    """Full.

    Args:
        four: Fourth,
            told: at length.
        five: Fifth.

    Returns:
        six: None.
    """
'''
    assert list(unlisted(ast.parse(text))) == ["Found: gone", "Found: two", "Found.of: three"]
