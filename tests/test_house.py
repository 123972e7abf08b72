"""The code stays small and plain: no measure is above what `MOST` allows.

``python tests/test_house.py [PART]`` prints the measures and what counts against them, file by file (paths with PART).
"""

import ast
import inspect
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PARAMETERS, LINES, COLUMNS, WORDS = 8, 60, 120, 30

MOST = {
    "signatures over 8 parameters": 0,
    "lines over 120 columns": 0,
    "functions over 60 lines": 0,
    "nested functions over one statement": 0,
    "type names defined twice": 0,
    "sentences over 30 words": 0,
    "median words of a sentence": 10,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match, ast.FunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Offence:
    """What counts against a measure: where it stands, and what it is."""

    measure: str
    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Module:
    """A Python file; its syntax tree is made when it is looked at."""

    path: str
    text: str

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text)))

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in self.nodes if isinstance(node, Function)]


@cache
def modules(folder: str) -> tuple[Module, ...]:
    files = sorted((ROOT / folder).rglob("*.py"))
    return tuple(Module(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in files)


def wide_signatures(module: Module) -> Iterator[Offence]:
    for function in module.functions:
        args = function.args
        names = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
        if (count := sum(name.arg not in ("self", "cls") for name in names)) > PARAMETERS:
            yield Offence(
                "signatures over 8 parameters", module.path, function.lineno, f"{function.name} has {count} parameters"
            )


def long_functions(module: Module) -> Iterator[Offence]:
    for function in module.functions:
        if (count := (function.end_lineno or 0) - function.lineno + 1) > LINES:
            yield Offence("functions over 60 lines", module.path, function.lineno, f"{function.name} has {count} lines")


def nested_functions(module: Module) -> Iterator[Offence]:
    for inner in {node for outer in module.functions for node in inside(outer)}:
        body = inner.body[1:] if ast.get_docstring(inner) else inner.body
        if len(body) > 1 or any(isinstance(statement, COMPOUND) for statement in body):
            yield Offence(
                "nested functions over one statement", module.path, inner.lineno, f"{inner.name} is not at top level"
            )


def inside(outer: Function) -> Iterator[Function]:
    return (node for node in ast.walk(outer) if node is not outer and isinstance(node, Function))


def long_lines(module: Module) -> Iterator[Offence]:
    apart = {line for first, last in tables(module) for line in range(first, last + 1)}
    for number, line in enumerate(module.text.splitlines(), 1):
        if len(line) > COLUMNS and number not in apart:
            yield Offence("lines over 120 columns", module.path, number, f"{len(line)} columns: {line.strip()[:60]}...")


def tables(module: Module) -> Iterator[tuple[int, int]]:
    """The lines of statements that the formatter skips and that hold more numbers than strings."""
    lines = module.text.splitlines()
    for node in module.nodes if "# fmt: skip" in module.text else ():
        if isinstance(node, ast.stmt) and node.end_lineno and "# fmt: skip" in lines[node.end_lineno - 1]:
            values = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            if sum(isinstance(value, int | float) for value in values) > len(values) / 2:
                yield node.lineno, node.end_lineno


def types(module: Module) -> Iterator[tuple[str, int]]:
    """The classes that a module defines, and its own names for types of several parts."""
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            yield node.name, node.lineno
    for node in module.nodes[0].body if isinstance(module.nodes[0], ast.Module) else ():
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp):
            (target,) = node.targets
            if isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", target.id):
                yield target.id, node.lineno


def doubled_types() -> Iterator[Offence]:
    places: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for module in modules("src/layercliff"):
        for name, line in types(module):
            places[name].append((module.path, line))
    for name, found in places.items():
        if len(found) > 1:
            others = ", ".join(path.removeprefix("src/layercliff/") for path, _ in found[1:])
            yield Offence("type names defined twice", *found[0], f"{name}, and in {others}")


def docstrings(module: Module) -> Iterator[tuple[int, str]]:
    """Docstrings of modules, classes, functions and names."""
    for node in module.nodes:
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            values = [(part.lineno, part.value) for part in node.body if isinstance(part, ast.Expr)]
            for line, value in values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield line, value.value


def sentences(text: str) -> Iterator[str]:
    """The sentences of a docstring: they end with its paragraphs, items of a list, and full stops."""
    prose = re.sub(r"\b(e\.g|i\.e|cf|vs|al|no|p|pp|eq|sec|fig)\.", r"\1", inspect.cleandoc(text), flags=re.I)
    for paragraph in re.split(r"\n\s*\n|\n\s*(?=[*-] )|\n\s+(?=\w+(?: \(.*\))?: )", prose):
        for sentence in re.split(r"(?<=[.!?])[)`\"'”]*\s+", " ".join(paragraph.split())):
            if re.search(r"\w", sentence):
                yield sentence


def long_sentences(module: Module) -> Iterator[Offence]:
    for line, text in docstrings(module):
        for sentence in sentences(text):
            if (count := len(sentence.split())) > WORDS:
                yield Offence("sentences over 30 words", module.path, line, f"{count} words: {sentence[:60]}...")


def median_words(of: tuple[Module, ...]) -> float:
    return median(
        len(sentence.split()) for module in of for _, text in docstrings(module) for sentence in sentences(text)
    )


@cache
def offences() -> tuple[Offence, ...]:
    found = list(doubled_types())
    for module in modules("src/layercliff"):
        for check in (wide_signatures, long_functions, nested_functions, long_sentences):
            found += check(module)
    for module in (
        module for folder in ("src/layercliff", "tests", "benchmarks", "docs") for module in modules(folder)
    ):
        found += long_lines(module)
    return tuple(found)


def measured() -> dict[str, float]:
    counts = Counter(offence.measure for offence in offences())
    return {measure: counts[measure] for measure in MOST} | {
        "median words of a sentence": median_words(modules("src/layercliff"))
    }


@pytest.mark.parametrize("measure", MOST)
def test_house(measure: str) -> None:
    against = "\n".join(str(offence) for offence in offences() if offence.measure == measure)
    found = measured()[measure]
    assert found <= MOST[measure], f"{measure}: {found}, more than {MOST[measure]}\n{against}"


def test_offences_are_seen() -> None:
    """Each check finds what it looks for, in a module made of it."""
    arguments = ", ".join(f"a{number}" for number in range(9))
    text = (
        f'''def outer({arguments}):
    """{"a " * 31}end."""
    def inner():
        if a0:
            return 1
{"    pass" + chr(10)}'''
        + "    pass\n" * 60
        + f"x = '{'y' * 120}'\n"
    )
    module = Module("made.py", text)
    for check in (wide_signatures, long_functions, nested_functions, long_sentences, long_lines):
        assert len(list(check(module))) == 1, check.__name__


def report(part: str) -> Iterator[str]:
    """The lines of what the script prints."""
    for measure, value in measured().items():
        yield f"{value:7g}  {measure} (at most {MOST[measure]:g})"
    own = [offence for offence in offences() if part in offence.path]
    for path in sorted({offence.path for offence in own}):
        counts = Counter(offence.measure for offence in own if offence.path == path)
        yield f"\n{path}: " + ", ".join(f"{count} {measure}" for measure, count in counts.items())
        for offence in own:
            if offence.path == path and (part or offence.measure != "lines over 120 columns"):
                yield f"  {offence.line}: {offence.measure}: {offence.what}"
    yield "\nmedian words of a sentence, file by file, where over 10:"
    for module in modules("src/layercliff"):
        if part in module.path and list(docstrings(module)) and (words := median_words((module,))) > 10:
            yield f"  {words:g}  {module.path}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(report(*sys.argv[1:2] or [""])) + "\n")
