"""The commands of the documentation: as a shell reads them, without running a program, and about a tiny model in place
of those that they name."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from layercliff.models import packaged
from layercliff.tasks.benchmarks import BENCHMARKS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MISSING = 'command_not_found_handle() { printf "%q " "$@"; echo; }\n'  # all there is to run: it says what was asked
MODELS = re.compile("|".join(re.escape(name) for name in [*packaged.models(), "path/to/model"]))
_TASK = "|".join(name for name in BENCHMARKS if not name.startswith("mmlu_"))
TASKS = re.compile(rf"(?<![A-Za-z])({_TASK})(,({_TASK}))*(?![A-Za-z])")  # rte stands in "sorted" as well
CELL = re.compile(r"-(own|letter)-(all|\d+)\b")  # the format and the limit in a directory's name
LIMIT = "16"


def blocks(page: Path, language: str) -> list[str]:
    """What stands in a page's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """Program and arguments of every command in a page's shell blocks."""
    return typed("".join(blocks(page, "sh")))


def made(target: str) -> list[list[str]]:
    """Program and arguments of every command that `make` runs for a target, everything set up; the same where another
    `make` runs the tests."""
    asked = ["make", "--dry-run", "--always-make", "--old-file", ".venv/.ready", target]
    alone = {"PATH": os.environ["PATH"]}
    return typed(subprocess.run(asked, cwd=ROOT, env=alone, capture_output=True, text=True, check=True).stdout)


def typed(text: str) -> list[list[str]]:
    """Program and arguments of every command in a text; programs of an environment by their names alone. Variables,
    loops and comments are the shell's own matter."""
    bash = shutil.which("bash")
    assert bash
    script = MISSING + re.sub(r"^(\S+ \S+ \S+ \|\| )?[\w./-]*venv/bin/", r"\1", text, flags=re.MULTILINE)
    nowhere = ROOT / "docs"  # where nothing was made yet, whatever `make demo` left behind
    done = subprocess.run(
        [bash, "-euc", script], env={"PATH": "/nowhere"}, cwd=nowhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


def in_words(text: str) -> str:
    """A text about the models in the directories `stand-in` and, for those that the documentation runs in bfloat16,
    `narrow`, and, in place of tasks that would be downloaded, the file ``questions.jsonl``."""
    text = MODELS.sub(lambda found: "narrow" if found[0].startswith("qwen") else "stand-in", text)
    return TASKS.sub("questions.jsonl", CELL.sub(lambda found: f"-{found[1].replace('own', 'cloze')}-{LIMIT}", text))


def stand_in(command: list[str]) -> list[str]:
    """A command about the tiny model and few questions, which trains for two updates."""
    found = [in_words(argument) for argument in command]
    form = "letter" if "letter" in found else "cloze"
    match found:
        case ["layercliff", verb, *_]:
            return _verb(verb, found, form)
        case ["python", "docs/results/verdicts.py", *_]:
            setting(found, limit=LIMIT, format=form)
        case ["python", "docs/results/accuracies.py", *_] if "--tasks" in found:
            setting(found, limit=LIMIT, dtype="float32")  # its tasks are one here
        case ["python", "docs/results/rare_failures.py" | "docs/results/verdict_rates.py", *_]:
            setting(found, worlds="5")
        case ["python", "docs/results/share_of_rises.py", *_]:
            setting(found, worlds="1")
        case ["python", "docs/results/forecast_table.py", *_]:
            setting(found, to="table.csv")
        case ["python", "benchmarks/readout.py", *_]:
            if "--peers-python" in found:  # of an environment of their own
                where = found.index("--peers-python")
                del found[where : where + 2]
            setting(found, model="stand-in", limit=LIMIT, repeats="2", format=form)
        case ["python", "benchmarks/search.py", *_]:
            setting(found, limit=LIMIT, format=form)
        case ["python", "benchmarks/evaluate.py", *_]:
            setting(found, limit=LIMIT, **{"batch-sizes": "4"})
    return found


def _verb(verb: str, command: list[str], form: str) -> list[str]:
    """A command of layercliff's about few questions and a small study."""
    found = [re.sub(r"docs/studies/\w+\.yaml", "study.yaml", argument) for argument in command]
    if {"-t", "--task", "--tasks"} & set(found):
        setting(found, limit=LIMIT, **({} if verb == "eval" else {"format": form}))
    if "--splits" in found:
        setting(found, splits="2")
    if verb == "recover":
        setting(found, step="2", updates="2")
    if verb == "export":  # no step is recommended of a random model, and it has no cliff
        found = [argument for argument in found if argument != "--before-cliff"]
        setting(found, step="2")
    return found


def setting(command: list[str], **options: str) -> None:
    """Give options of a command other values, in place."""
    for option, value in options.items():
        name = f"--{option}"
        if name in command:
            command[command.index(name) + 1] = value
        else:
            command += [name, value]
