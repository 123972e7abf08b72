"""Fixtures shared by all tests: tiny models, a tokenizer, a small task, a cache of the tests' own."""

import gc
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import chromium
import families
import pytest
import torch
import word_tasks
from chromium import Browser, Opener
from commands import Here
from hypothesis import HealthCheck, settings

from layercliff import cache
from layercliff.cli import entry as cli
from layercliff.errors import LayercliffError
from layercliff.models import checkpoint, reload_check, removable_blocks
from layercliff.models.model import Model
from layercliff.models.removable_blocks import RemovableBlocks
from layercliff.report import page
from layercliff.tasks.question import Question, Task

gc.freeze()  # torch and transformers have made millions of objects that stay: collections need not look through them
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start: several at once would wait for one another
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")
REMOVALS: dict[tuple[object, ...], RemovableBlocks] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages are drawn with, bundled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", str(tmp_path_factory.mktemp("script")))
        page.library()
        (kept,) = cache.directory().iterdir()
    return kept


@pytest.fixture(autouse=True)
def own_cache(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    script: Path,
) -> None:
    """Every test has a cache of its own that holds nothing but the pages' script, but for those marked `packaged`,
    which share the user's."""
    if not request.node.get_closest_marker("packaged"):
        own = tmp_path_factory.mktemp("cache")
        (own / script.name).hardlink_to(script)
        monkeypatch.setenv("LAYERCLIFF_CACHE", str(own))


@pytest.fixture(autouse=True)
def tried_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside the tests of models, it is tried once for a class and a configuration which blocks can be taken out."""
    if request.path.parent.name == "models":
        return
    own = removable_blocks._removal

    def known(model: Model) -> RemovableBlocks:
        what = type(model.network), model.network.config.to_json_string(), model.anatomy.dtype
        if what not in REMOVALS:
            REMOVALS[what] = own(model)
        return REMOVALS[what]

    monkeypatch.setattr(removable_blocks, "_removal", known)


@pytest.fixture(params=list(families.CONFIGS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """The command line in this process."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = ["layercliff", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as end:
            cli.main()
        return subprocess.CompletedProcess(command, int(end.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def reloads_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a fresh process would be asked of an exported checkpoint is done in this one, in a fraction of the time."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        try:
            reload_check.main(*command[5:])
        except Exception as error:  # whatever ends that process
            return subprocess.CompletedProcess(command, 1, "", str(error))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(checkpoint, "subprocess", SimpleNamespace(run=run))


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AbstractContextManager[None]]:
    """A disk on which no byte can be written into files of a name, as the system says it, which what is run on it must
    end with saying."""
    whole_file = cache.whole_file

    @contextmanager
    def full(name: str) -> Iterator[None]:
        @contextmanager
        def without_room(path: Path) -> Iterator[Path]:
            with whole_file(path) as partial:
                limits = resource.getrlimit(resource.RLIMIT_FSIZE)
                if path.name == name:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
                try:
                    yield partial
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, limits)

        with monkeypatch.context() as patch, pytest.raises(LayercliffError, match="is full: free some space"):
            patch.setattr(cache, "whole_file", without_room)
            yield

    return full


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path_factory.mktemp("small")
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no small file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture(scope="session")
def tiny() -> Model:
    """A tiny Llama with its tokenizer."""
    return Model.of(families.network("llama"), families.tokenizer(), "tiny")


@pytest.fixture
def colours() -> Task:
    """Twelve questions of 2 to 4 options, whose options have different first tokens."""
    questions = []
    for i in range(12):
        options = tuple(word_tasks.WORDS[(i + j) % 8] for j in range(2 + i % 3))
        questions.append(Question(f"q{i}", f"which of these is {i}?", options, i % len(options), f"g{i // 2}"))
    return Task("colours", tuple(questions), "made up", "none", "first_token")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with chromium.launched() as found:
        yield found


@pytest.fixture
def opens(browser: Browser) -> Iterator[Opener]:
    """Opens the page of a directory; whatever it says to the console, or asks the network for, fails the test."""
    opener = Opener(browser)
    yield opener
    opener.close()


@pytest.fixture
def task() -> Task:
    """Forty questions, twenty to either half."""
    return word_tasks.task(40, "first_token")
