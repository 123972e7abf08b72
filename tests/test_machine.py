"""What a run cost is its own."""

import subprocess
import sys

from layercliff import machine


def test_peak_memory_is_the_processs_own_and_not_its_parents() -> None:
    held = bytearray(400 * 2**20)
    code = "from layercliff import machine; print(machine.peak_memory_bytes())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(child.stdout) < 200 * 2**20 < len(held) < machine.peak_memory_bytes()


def test_versions_are_stated() -> None:
    assert {"python", "layercliff", "torch", "transformers"} <= set(machine.versions())
