"""What `pip install .` installs: everything that the source holds, and a command that runs from anywhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("*.py", "*.toml", "*.html", "*.css", "*.js", "*.csv", "py.typed")


def files(directory: Path) -> set[Path]:
    return {path.relative_to(directory) for kind in OURS for path in directory.rglob(kind)}


@pytest.mark.packaged  # pip fetches what it builds with
def test_an_installed_copy_is_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    ours = shutil.ignore_patterns(".*", "*.egg-info", "build", "tests", "docs", "runs", "site")
    shutil.copytree(ROOT, source, ignore=ours)
    installing = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, source]
    subprocess.run(installing, check=True)
    assert files(target / "layercliff") == files(ROOT / "src" / "layercliff")
    for asked in (["models"], ["tasks"]):
        command = [target / "bin" / "layercliff", *asked]
        environment = {**os.environ, "PYTHONPATH": str(target)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout
