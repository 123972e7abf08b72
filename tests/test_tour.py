"""The tour in CONTRIBUTING.md names every file once, in the words of its docstring."""

import ast
import textwrap
from pathlib import Path

import layercliff

SOURCE = Path(layercliff.__file__).parent
PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
HEADING = "## A tour of the code\n"


def first_line(file: Path) -> str:
    """What a file's docstring begins with."""
    docstring = ast.get_docstring(ast.parse(file.read_text())) or ""
    return docstring.partition("\n\n")[0].replace("\n", " ")


def tour() -> str:
    """Every file by its folder."""
    folders: dict[str, list[Path]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        folders.setdefault(str(file.parent.relative_to(SOURCE)), []).append(file)
    text = ""
    for name, files in folders.items():
        about = first_line(SOURCE / name / "__init__.py")
        text += f"\n### {'layercliff' if name == '.' else name + '/'}\n\n{textwrap.fill(about, 100)}\n\n"
        lines = (f"* `{file.name}`: {first_line(file)}" for file in files if file.name != "__init__.py")
        text += "".join(f"{textwrap.fill(line, 100, subsequent_indent='  ')}\n" for line in lines)
    return text


def test_the_tour_is_that_of_the_files() -> None:
    _, _, written = PAGE.read_text().partition(HEADING)
    assert written.partition("\n\n")[2] == tour().removeprefix("\n"), "run python tests/test_tour.py"


if __name__ == "__main__":
    above, heading, rest = PAGE.read_text().partition(HEADING)
    said, _, _ = rest.removeprefix("\n").partition("\n\n")
    PAGE.write_text(f"{above}{heading}\n{said}\n{tour()}")
