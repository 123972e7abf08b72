"""Ctrl-C, SIGTERM and SIGHUP at any moment: the sentence, the exit code, and no traceback."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import families
import pytest
import word_tasks
from commands import Here

from layercliff import interrupts
from layercliff.readout.read import Reader

SENTENCE = f"layercliff: {interrupts.SENTENCE}"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
LISTENS = "import sys; from layercliff import interrupts\n"


@pytest.fixture(scope="module")
def about(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    directory = tmp_path_factory.mktemp("files")
    families.saved(directory / "model")
    word_tasks.written(directory)
    task = str(directory / "words.jsonl")
    return "trace", "-m", str(directory / "model"), "-t", task, "-f", "letter", "--limit", "24", "--device", "cpu"


def test_a_signal_during_a_run(
    about: tuple[str, ...], tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = signal.SIGTERM  # SIGHUP is ignored where a process is started to outlive its terminal

    def stop(*_: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    before = [signal.getsignal(one) for one in SIGNALS]
    with monkeypatch.context() as patch:
        patch.setattr(Reader, "read", stop)
        done = here(*about, "-o", tmp_path / "run")
    assert done.returncode == 128 + number
    assert done.stderr.endswith(SENTENCE + "\n")
    assert [signal.getsignal(one) for one in SIGNALS] == before
    assert here(*about, "-o", tmp_path / "run").returncode == 0


def listened(code: str) -> subprocess.CompletedProcess[str]:
    code = f"{LISTENS}with interrupts.Listening() as listening:\n    {code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


def test_a_signal_before_anything_is_held_ends_at_once() -> None:
    done = listened("import os; os.kill(os.getpid(), 15); print('on')")
    assert (done.returncode, done.stdout, done.stderr) == (143, "", SENTENCE + "\n")


def test_a_second_signal_means_the_first() -> None:
    """One that comes late does not."""
    twice = """listening.begun = True
    import os, time
    try:
        os.kill(os.getpid(), 15)
    except KeyboardInterrupt:
        os.kill(os.getpid(), 15)
        print("put away", flush=True)
        interrupts.PATIENCE = 0
        os.kill(os.getpid(), 2)
        print("on")"""
    done = listened(twice)
    assert (done.returncode, done.stdout, done.stderr) == (143, "put away\n", SENTENCE + "\n")


def test_a_signal_in_a_destructor_is_not_lost() -> None:
    lost = """listening.begun = True
    import os, time
    class Odd:
        def __del__(self):
            os.kill(os.getpid(), 2)
            time.sleep(0)
    try:
        Odd()
        time.sleep(10)
    except KeyboardInterrupt:
        print("heard")"""
    done = listened(lost)
    assert (done.stdout, done.stderr) == ("heard\n", "")


def test_what_the_parent_switched_off_stays_off() -> None:
    code = "import os, signal; print(signal.getsignal(1) is signal.SIG_IGN); os.kill(os.getpid(), 1)"
    command = f'trap "" HUP; exec {sys.executable} -c "{LISTENS}with interrupts.Listening():\n    {code}"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n")


def ended(command: list[str], number: int, seconds: float) -> tuple[int, str]:
    """The exit code of a command and what it tells, where a signal comes after some seconds."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(seconds)
        process.send_signal(number)
        return process.wait(), process.stderr.read() if process.stderr else ""


def told(code: int, number: int, said: str) -> None:
    """Fail for an end that is neither whole, nor in order, nor that of a Python that had finished but for its own
    end."""
    assert "Traceback" not in said
    if code not in (0, -number):
        assert (code, said[-len(SENTENCE) - 1 :]) == (128 + number, SENTENCE + "\n")


def test_a_signal_in_the_first_moments() -> None:
    """From the first line of layercliff's own on, through all imports."""
    for trial in range(6):
        number = SIGNALS[trial % 3]
        code = (
            "import os, sys, threading; sys.argv = ['layercliff', 'models']\nfrom layercliff.cli import "
            f"entry\nthreading.Timer({0.01 + 0.04 * trial}, os.kill, (os.getpid(), "
            f"{int(number)})).start()\nentry.main()"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        told(done.returncode, number, done.stderr)


@pytest.mark.slow
def test_signals_at_random_moments_of_a_trace(about: tuple[str, ...], tmp_path: Path) -> None:
    draw = random.Random(0)
    command = [sys.executable, "-m", "layercliff", *about, "-o", str(tmp_path / "run")]
    begin = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    lasts = time.monotonic() - begin
    for trial in range(30):
        number = SIGNALS[trial % 3]
        code, said = ended([*command, "--fresh"], number, draw.uniform(0.15, lasts))
        told(code, number, said)
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
