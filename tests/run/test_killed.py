"""Every verb, killed without warning at twenty random moments: the same command ends with the tables, arrays and
numbers of a run that nobody killed."""

import subprocess
import sys
from pathlib import Path

import families
import pytest
import word_tasks
from same_results import assert_same

KILLS = 20
VERBS = (
    "trace",
    "prune",
    "compare",
    "evaluate",
    "controls",
    "lens",
    "noise",
    "ablate",
    "similarity",
    "patch",
    "forecast",
    "recover",
    "study",
    "claims",
)

SCRIPT = """
import os, random, shutil, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import layercliff
from layercliff import cache
from layercliff.readout.read import Reader
from layercliff.report import page
from layercliff.studies import page as study_page
from layercliff.run.directory import Journal

MODEL, WORDS, FOLDER, VERB, KILLS = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5])
GIVEN = {'format': 'first_token', 'device': 'cpu', 'batch_tokens': 200}
page.write = study_page.write = lambda *_: None
GRID = {
    'models': [MODEL], 'tasks': [{'task': WORDS, 'format': 'first_token'}], 'criteria': ['margin', 'random'],
    'remove': 2, 'draws': 2, 'device': 'cpu',
}

def verb(out, name=VERB):
    if name == 'study':
        return layercliff.study(GRID, out=out)
    if name == 'evaluate':
        return layercliff.evaluate(MODEL, WORDS, device='cpu', batch_tokens=200, out=out)
    more = {
        'prune': {'remove': 2, 'splits': 2, 'assess': False},
        'compare': {'criteria': ('margin', 'tail', 'laco'), 'remove': 2},
        'lens': {'lenses': ('tuned',), 'text': 'prose', 'tokens': 400, 'steps': 2},
        'noise': {'draws': 1, 'eps': (0.1,)},
        'similarity': {'steps': (1, 2)},
        'patch': {'steps': (1, 2)},
        'forecast': {'study': FOLDER / 'study'},
        'recover': {'steps': (1,), 'updates': 4, 'batch': 4, 'material': 'select'},
    }.get(name, {})
    return getattr(layercliff, name)(MODEL, WORDS, **GIVEN, **more, out=out)

def counted(after):
    # the process ends at the n-th of: an entry put, a batch read, a file written, the journal removed
    left = [after]
    def counting(function):
        def called(*arguments, **others):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **others)
        return called
    Reader.read, cache.whole_file = counting(Reader.read), counting(cache.whole_file)
    Journal.put, Journal.remove = counting(Journal.put), counting(Journal.remove)
    return left

def ends(work):
    if (pid := os.fork()) == 0:
        try:
            work()
        except layercliff.LayercliffError as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def begun(out):
    if VERB in ('similarity', 'patch', 'recover'):
        shutil.copytree(FOLDER / 'begun', out)
    return out

def whole():
    left = counted(10**9)
    verb(begun(FOLDER / 'whole'))
    (FOLDER / 'moments').write_text(str(10**9 - left[0]))

if VERB in ('similarity', 'patch', 'recover'):
    assert ends(lambda: verb(FOLDER / 'begun', 'prune')) == 0
assert ends(whole) == 0
moments = int((FOLDER / 'moments').read_text())
rng = random.Random(0)
for number in range(KILLS):
    out, after = begun(FOLDER / f'killed-{number}'), moments if number == 0 else rng.randrange(1, moments)
    def killed():
        counted(after)
        verb(out)
    assert ends(killed) == -9, after
    assert ends(lambda: verb(out)) == 0, after
"""


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_a_killed_verb_ends_with_the_same_results(verb: str, tmp_path: Path) -> None:
    model, words = families.saved(tmp_path / "model"), word_tasks.written(tmp_path, 24)
    if verb == "forecast":
        word_tasks.forecast_study(tmp_path / "study")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, model, words, str(tmp_path), verb, str(KILLS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for number in range(KILLS):
        assert_same(tmp_path / "whole", tmp_path / f"killed-{number}")
