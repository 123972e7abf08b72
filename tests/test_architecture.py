"""Data flows one way: a room imports only from rooms to its left."""

import ast
import builtins
from pathlib import Path

import pytest

import layercliff

ROOMS = [
    "ground",
    "models",
    "tasks",
    "readout",
    "metrics",
    "pruning",
    "probes",
    "recovery",
    "results",
    "verdicts",
    "report",
    "verbs",
    "cli",
]
GROUND = {
    "errors",
    "limits",
    "yaml_files",
    "choices",
    "cache",
    "packages",
    "progress",
    "machine",
    "config",
    "grid",
    "store",
    "stored_files",
    "output",
    "faults",
    "interrupts",
    "rich_console",
}
SOURCE = Path(layercliff.__file__).parent
FILES = [path for path in SOURCE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]


def room(module: str) -> str | None:
    """The room of ``layercliff.x.y``."""
    part = module.split(".")[1]
    if part in GROUND:
        return "ground"
    return (
        "cli"
        if part
        in (
            "options",
            "console",
            "cli_app",
            "cli_paths",
            "cli_evaluate",
            "cli_analyses",
            "cli_claims",
            "cli_recover",
            "cli_studies",
            "harness",
        )
        else part
        if part in ROOMS
        else None
    )


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("layercliff"):
            found |= {
                f"{node.module}.{alias.name}"
                if node.module == "layercliff" or (SOURCE.parent / node.module.replace(".", "/")).is_dir()
                else node.module
                for alias in node.names
            }
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_rooms_import_from_the_left(path: Path) -> None:
    own = room("layercliff." + ".".join(path.relative_to(SOURCE).with_suffix("").parts))
    assert own is not None
    for module in imports(path):
        other = room(module)
        if other is None or (
            path.name in ("terminal.py", "terminal_study.py", "words.py") and module.startswith("layercliff.verbs")
        ):
            continue  # `layercliff` itself; the type of what a verb returns, for the checker alone
        assert ROOMS.index(other) <= ROOMS.index(own), f"{path.name} ({own}) imports {module} ({other})"


def test_files_are_small() -> None:
    assert {path.name: lines for path in FILES if (lines := len(path.read_text().splitlines())) > 400} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_name_is_known(path: Path) -> None:
    """The names of shapes, inside strings, are known to no checker, so that linter and type checker do not look for unknown names."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    known = {*dir(builtins), "__file__", "__name__"}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            known |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            known.add(node.name)
        elif isinstance(node, ast.arg):
            known.add(node.arg)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            known.add(node.name)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            known.add(node.id)
    assert {node.id for node in nodes if isinstance(node, ast.Name)} <= known
