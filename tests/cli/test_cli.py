"""The command line: quick to help, one sentence for what is wrong, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import families
import pytest
from commands import Here

from layercliff.readout.read import Reader

COMMAND = [sys.executable, "-m", "layercliff"]


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("files")
    families.saved(directory / "model")
    rows = [{"question": f"which is {i}?", "options": ["blue", "red"], "answer": i % 2} for i in range(8)]
    (directory / "task.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (directory / "bad.jsonl").write_text('{"question": "q", "options": ["a", "a"], "answer": 0}')
    return directory


@pytest.mark.parametrize(
    "code",
    ["import layercliff", "from layercliff.cli import entry", "import layercliff.errors, layercliff.tasks.question"],
)
def test_torch_loads_only_when_needed(code: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport sys; print([m for m in ('torch', 'transformers', 'altair', 'polars') if m in "
            "sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_help_and_version() -> None:
    done = run("--help")
    assert done.returncode == 0
    for verb in ("trace", "plan", "models", "tasks", "figures"):
        assert verb in done.stdout
    assert run("--version").stdout == "layercliff 0.1.0\n"


def test_lists(here: Here) -> None:
    models = here("models").stdout
    for name in ("gemma-3-270m", "smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "Apache-2.0", "238 MB"):
        assert name in models
    tasks = here("tasks").stdout
    for name in ("capitals", "cities", "arc_easy", "arc_challenge", "hellaswag", "commonsense_qa", "mmlu", "14042"):
        assert name in tasks
    assert "anatomy" not in tasks
    assert len(here("tasks", "--subjects").stdout.splitlines()) == 57


def test_trace_twice_then_figures(files: Path, tmp_path: Path, here: Here) -> None:
    arguments = ("trace", "-m", files / "model", "-t", files / "task.jsonl", "-f", "letter", "-o", tmp_path / "run")
    first = run(*arguments)  # in a process of its own, as a user does
    assert first.returncode == 0, first.stderr
    shown = " ".join(first.stdout.split())
    assert "The model is undecided: up to its last depth, 5, margin and accuracy do not stay above" in shown
    assert shown.count("8 independent questions are few") == 1
    assert "independent" not in first.stderr
    again = here(*arguments)
    assert "not computed again" in " ".join(again.stderr.split())
    assert again.stdout == first.stdout
    drawn = here("figures", tmp_path / "run", "--format", "svg")
    assert drawn.returncode == 0
    assert len(drawn.stdout.split()) == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("trace", "-m", "gema-3-270m", "-t", "cities", "-o", "run"), "did you mean gemma-3-270m?"),
        (("trace", "-m", "MODEL", "-t", "citis", "-o", "run"), "did you mean cities"),
        (("trace", "-m", "MODEL", "-t", "none.jsonl", "-o", "run"), "There is no task file none.jsonl"),
        (("trace", "-m", "MODEL", "-t", "BAD", "-o", "run"), "line 1: question '1': the option 'a' stands there twice"),
        (
            ("trace", "-m", "MODEL", "-t", "TASK", "-t", "BAD", "-o", "run"),
            "--task was given 2 times: give it once, or join its values by commas",
        ),
        (
            ("trace", "-m", "MODEL", "-t", "TASK", "--limit", "0", "-o", "run"),
            "The option --limit is 0, and must be a whole number from 1",
        ),
        (("trace", "-m", "MODEL", "-t", "TASK", "--chat", "-o", "run"), "no chat template"),
        (("trace", "-m", "MODEL", "-t", "TASK", "--device", "cuda:9", "-o", "run"), "'cuda:9' is not available"),
        (("trace", "-m", "MODEL", "-t", "TASK", "-o", "TASK"), "is a file"),
        (("figures", "nowhere"), "is no run directory"),
        (("plan", "-m", "MODEL", "-t", "TASK", "--shots", "99"), "where 99 are needed: use fewer --shots"),
    ],
)
def test_refusals_are_one_sentence(
    files: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    places = {"MODEL": files / "model", "TASK": files / "task.jsonl", "BAD": files / "bad.jsonl"}
    monkeypatch.chdir(tmp_path)
    done = here(*(places.get(a, a) for a in arguments))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("layercliff: ")]) == 1


@pytest.mark.parametrize("option", ["--format=essay", "--dtype=int3", "--option-mass=some"])
def test_unknown_choices_are_named_with_the_known(here: Here, option: str) -> None:
    done = here("trace", "-m", "m", "-t", "t", "-o", "o", option)
    assert done.returncode == 2
    assert "is not one of" in done.stderr


def test_ctrl_c_says_what_is_kept_and_the_same_command_goes_on(files: Path, tmp_path: Path, here: Here) -> None:
    arguments = ("trace", "-m", files / "model", "-t", files / "task.jsonl", "-f", "letter", "-o", tmp_path / "run")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "read", interrupt)
        done = here(*arguments)
    assert done.returncode == 130
    assert "layercliff: interrupted; what was finished is kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert here(*arguments).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("prun",), "There is no command 'prun': did you mean prune"), (("--foo",), "No such option: --foo")],
)
def test_what_is_no_command_is_one_sentence(here: Here, arguments: tuple[str, ...], sentence: str) -> None:
    done = here(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"layercliff: {sentence}")
