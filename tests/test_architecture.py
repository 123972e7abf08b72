"""Data flows one way: a room imports only from rooms to its left."""

import ast
import builtins
from pathlib import Path

import pytest

import layercliff

LAYERS = (
    "ground", "models", "tasks", "readout", "metrics", "pruning", "results", "claims", "report", "verbs", "cli",
)  # fmt: skip
"""What each imports from: itself and what stands to its left."""

OF_ROOM = {
    "analyses": "verbs", "cli": "cli", "comparison": "verbs", "evaluation": "verbs", "exporting": "verbs",
    "finetuning": "pruning", "interventions": "pruning", "metrics": "metrics",
    "models": "models", "paper_claims": "verbs", "planning": "verbs", "pruning": "pruning", "readout": "readout",
    "report": "report", "run": "ground", "studies": "verbs", "tasks": "tasks",
}  # fmt: skip
"""The layer of a folder's files, where neither `OF_NAME` nor `OF_FILE` says otherwise."""

OF_NAME = {
    "run": "verbs", "result": "results", "figures": "report", "table": "report", "words": "report", "page": "report",
    "terminal": "report", "spec": "ground", "shapes": "results",
}  # fmt: skip
"""The layer of files with these names in any folder."""

OF_FILE = {
    "analyses.intervention_result": "results",
    "analyses.registry": "ground",
    "evaluation.harness_files": "results",
    "harness": "cli",
    "paper_claims.claim_files": "claims",
    "paper_claims.deciding": "claims",
    "paper_claims.evidence": "claims",
    "paper_claims.intervals": "claims",
    "paper_claims.registry": "claims",
    "paper_claims.requirements": "claims",
    "paper_claims.rule": "claims",
    "paper_claims.share_of_rises": "claims",
    "paper_claims.step_analyses": "claims",
    "paper_claims.verdicts": "claims",
    "pruning.assess": "verbs",
    "pruning.assessment": "results",
    "pruning.repeated_path": "verbs",
    "pruning.repeats": "results",
    "pruning.reuse": "verbs",
    "pruning.selected_step": "verbs",
    "pruning.tables": "results",
    "pruning.path_file": "results",
    "analyses.trace.tables": "results",
    "analyses.recover.tables": "results",
    "report.redraw": "verbs",
    "run.passes": "verbs",
    "run.resolved": "verbs",
    "run.session": "verbs",
    "run.verb": "verbs",
    "run.stored_shapes": "results",
    "studies.grid": "pruning",
}
SOURCE = Path(layercliff.__file__).parent
FILES = [path for path in SOURCE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]
PUBLIC = {f"layercliff.{name}": f"layercliff.{module}" for name, module in layercliff._PUBLIC.items()}


def layer(module: str) -> str | None:
    """The layer of ``layercliff.x.y``; None for the package itself."""
    _, *parts = module.split(".")
    if not parts or parts[0].startswith("_"):
        return None
    known = OF_FILE.get(".".join(parts)) or (OF_NAME.get(parts[-1]) if len(parts) > 1 else "ground")
    return known or OF_ROOM[parts[0]]


def imports(path: Path) -> set[str]:
    """The modules that a file imports from, but for the type checker alone; of public names, where they come from."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    unused = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    typed = {id(inner) for node in unused for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if id(node) in typed:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "layercliff"}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "layercliff":
            found |= {_module(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "layercliff":
            found.add(PUBLIC.get(f"layercliff.{node.attr}", "layercliff"))
    return found


def _module(module: str, name: str) -> str:
    """Where ``from module import name`` takes it from."""
    whole = f"{module}.{name}"
    if (SOURCE.parent / f"{whole.replace('.', '/')}.py").exists() or (SOURCE.parent / whole.replace(".", "/")).is_dir():
        return whole
    return PUBLIC.get(whole, module)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_from_the_left(path: Path) -> None:
    own = layer("layercliff." + ".".join(path.relative_to(SOURCE).with_suffix("").parts))
    assert own is not None
    for module in imports(path):
        other = layer(module)
        assert other is None or LAYERS.index(other) <= LAYERS.index(own), (
            f"{path.name} ({own}) imports {module} ({other})"
        )


def test_every_layer_is_used() -> None:
    modules = {".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in FILES}
    assert OF_FILE.keys() <= modules
    assert {layer(f"layercliff.{module}") for module in modules} == set(LAYERS)


def test_public_names_are_no_folders() -> None:
    """A folder of the same name would take the place of a function once it is imported."""
    assert not {name for name in layercliff._PUBLIC if (SOURCE / name).is_dir()}


def test_files_are_small() -> None:
    assert {path.name: lines for path in FILES if (lines := len(path.read_text().splitlines())) > 400} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_name_is_known(path: Path) -> None:
    """The names of shapes, inside strings, are known to no checker, so that linter and type checker do not look for
    unknown names."""
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
