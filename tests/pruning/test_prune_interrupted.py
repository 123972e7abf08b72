"""Paths that are interrupted, killed or out of disk: nothing computed is lost, and the same command ends with the same
bytes."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import families
import pytest
import word_tasks

import layercliff
from layercliff.models.model import Model
from layercliff.pruning import assess as assessing
from layercliff.pruning.iterative import IterativeSelector
from layercliff.pruning.result import Pruned
from layercliff.tasks.question import Task


@pytest.mark.parametrize("reuse", [2**16, 2**30])
def test_an_interrupted_path_ends_with_the_same_bytes(
    tiny: Model, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reuse: int
) -> None:
    whole = layercliff.prune(tiny, task, remove=3, batch_tokens=100, memory_bytes=reuse, out=tmp_path / "whole")
    swept, left = IterativeSelector._swept, [0]

    def interrupted(self: IterativeSelector, *arguments: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return swept(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(IterativeSelector, "_swept", interrupted)
    for after in (1, 2, 4, 7, 0):
        left[0] = after
        try:
            resumed = layercliff.prune(tiny, task, remove=3, batch_tokens=100, memory_bytes=reuse, out=tmp_path / "run")
        except KeyboardInterrupt:
            assert not (tmp_path / "run" / "prune" / "margin" / "path.json").exists()
    paths = [(tmp_path / name / "prune" / "margin" / "path.json").read_bytes() for name in ("whole", "run")]
    assert paths[0] == paths[1]
    assert resumed.cost["selection_block_passes"] == whole.cost["selection_block_passes"]


def test_a_full_disk_leaves_no_finished_path_of_other_settings(
    tiny: Model, task: Task, tmp_path: Path, full_disk: Callable[[str], AbstractContextManager[None]]
) -> None:
    """Where the files of a longer path cannot be written to the end, the shorter one's must not be read with them."""
    layercliff.prune(tiny, task, remove=1, out=tmp_path / "run")
    with full_disk("path.json"):
        layercliff.prune(tiny, task, remove=3, out=tmp_path / "run")
    assert len(layercliff.prune(tiny, task, remove=3, out=tmp_path / "run").steps) == 4


def test_a_failing_assessment_loses_no_path(
    tiny: Model, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pruned, "recommended", 1)

    def fails(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(assessing, "assess", fails)
    with pytest.raises(KeyboardInterrupt):
        layercliff.prune(tiny, task, remove=2, out=tmp_path / "run")
    assert (tmp_path / "run" / "prune" / "margin" / "path.json").exists()

    def too_much(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(assessing, "assess", too_much)
    said: list[str] = []
    found = layercliff.prune(tiny, task, remove=2, out=tmp_path / "run", note=said.append)
    assert found.assessment is None
    assert any("was not assessed" in sentence for sentence in said)
    said.clear()
    layercliff.prune(tiny, task, remove=2, out=tmp_path / "run", note=said.append)
    assert any("holds this path already" in sentence for sentence in said)


KILLED = """
import os, random, signal, sys
from pathlib import Path
import layercliff
from layercliff import cache
from layercliff.pruning.iterative import IterativeSelector
from layercliff.pruning.path import PathWalker

MODEL, WORDS, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])

def prune(out, remove=3):
    layercliff.prune(MODEL, WORDS, format='letter', remove=remove, batch_tokens=200, device='cpu', out=FOLDER / out)

def killed(after):
    # the process ends at the n-th of: a batch swept, a task read, a file written
    left = [after]
    def counted(function):
        def called(*arguments, **more):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)
        return called
    IterativeSelector._swept, PathWalker._read = counted(IterativeSelector._swept), counted(PathWalker._read)
    cache.whole_file = counted(cache.whole_file)
    return left

def child(work):
    if (pid := os.fork()) == 0:
        try:
            work()
        except layercliff.LayercliffError as error:
            print(error, flush=True)
            os._exit(3)
        os._exit(0)
    return pid

def ends(pid):
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def whole():
    left = killed(10**9)
    prune('whole')
    (FOLDER / 'moments').write_text(str(10**9 - left[0]))

assert ends(child(whole)) == 0
assert ends(child(lambda: prune('run', remove=1))) == 0  # a shorter path lies there already
moments = int((FOLDER / 'moments').read_text())
for after in [moments - 1, *random.Random(0).sample(range(2, moments), 4)]:  # the last file but one, then any time
    def work():
        killed(after)
        prune('run')
    assert ends(child(work)) in (-9, 0), after
both = [child(lambda: prune('run')), child(lambda: prune('run'))]
print(sorted(ends(pid) for pid in both))
prune('run')
"""


@pytest.mark.slow
def test_a_killed_path_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """kill -9 at many moments, then two at once, then the same command again."""
    model, words_ = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, model, words_, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "[0, 0]" in done.stdout or ("[0, 3]" in done.stdout and "Another layercliff process" in done.stdout)
    paths = [(tmp_path / name / "prune" / "margin" / "path.json").read_bytes() for name in ("whole", "run")]
    assert paths[0] == paths[1]
