"""What a run cost is its own."""

import subprocess
import sys

from layercliff import machine

MEASURED = """
import subprocess, sys
from layercliff import machine

held = b"x" * (400 * 2**20)  # every page written: one that is not touched takes no memory
program = "from layercliff import machine; print(machine.peak_memory_bytes())"
child = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
print(int(child.stdout), len(held), machine.peak_memory_bytes())
"""


def test_peak_memory_is_the_processs_own_and_not_its_parents() -> None:
    """In processes of their own, which use no device: of one that does, the device's memory is what counts."""
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    child, held, parent = map(int, done.stdout.split())
    assert child < 200 * 2**20 < held < parent


def test_versions_are_stated() -> None:
    assert {"python", "layercliff", "torch", "transformers"} <= set(machine.versions())
