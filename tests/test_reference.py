"""The reference is made from the program: every option of every public function stands in it."""

import sys
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
    """Every field of ``run.yaml`` but the version, and what models and tasks are resolved to, is an option."""
    own = {"version", "model", "revision", "tasks", "order"}
    options = {one.name for one in fields(layercliff.trace.spec)}
    assert Subject.model_fields.keys() - own <= options
