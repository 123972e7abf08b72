"""Whether two directories hold the same results."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal
from safetensors.numpy import load_file

CHANGING = {
    "seconds",
    "cost",
    "peak_memory_bytes",
    "selection_seconds",
    "training_seconds",
    "report_seconds",
    "total_evaluation_time_seconds",
    "date",
    "checksum",
}
"""What is another number each time."""

DATE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}(\.\d+)?")
"""A date in a file's name, as lm-evaluation-harness writes it."""


def contents(folder: Path) -> dict[str, Any]:
    """Every table, array and number that lies in a directory, but for what changes each time."""
    found: dict[str, Any] = {}
    for file in sorted(folder.rglob("*")):
        name = DATE.sub("DATE", str(file.relative_to(folder)))
        if file.suffix == ".parquet":
            table = pl.read_parquet(file.read_bytes())
            found[name] = table.drop(set(table.columns) & CHANGING)
        elif file.suffix == ".safetensors":
            found[name] = load_file(file)
        elif file.suffix == ".json":
            found[name] = still(json.loads(file.read_text()))
        elif file.suffix == ".sqlite":
            found[name] = "left behind"
    return found


def still(content: Any) -> Any:
    """JSON without what changes each time."""
    if isinstance(content, dict):
        return {name: still(value) for name, value in content.items() if name not in CHANGING}
    return [still(value) for value in content] if isinstance(content, list) else content


def assert_same(whole: Path, resumed: Path) -> None:
    """Both directories hold the same files with the same contents."""
    left, right = contents(whole), contents(resumed)
    assert left.keys() == right.keys()
    for name, one in left.items():
        other = right[name]
        if isinstance(one, pl.DataFrame):
            assert_frame_equal(one, other, check_exact=True)
        elif name.endswith(".safetensors"):
            assert one.keys() == other.keys(), name
            for array in one:
                np.testing.assert_array_equal(one[array], other[array], err_msg=f"{name}: {array}")
        else:
            assert one == other, name
