"""Mixtures of dense blocks as records: their arithmetic, and files."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from layercliff.models import merged_blocks
from layercliff.models.merged_blocks import Blends, Channelwise, Linear, mixed
from layercliff.models.stored_path import StoredStep
from layercliff.run.stored_files import StoredFolder

CHANNELWISE = Channelwise(((3, 0), (5, 1)), ((5, 2), (5, 0), (3, 1)), {3: 0.25, 5: 0.75}, {3: 0.5, 5: 0.5})


def test_what_cancels_is_left_out() -> None:
    assert mixed([(1.0, {4: 1.0, 6: 2.0}), (-1.0, {4: 1.0, 5: 1.0})]) == {5: -1.0, 6: 2.0}
    assert list(mixed([(1.0, {7: 1.0}), (1.0, {2: 1.0})])) == [2, 7]


def test_a_block_that_is_not_merged_is_itself() -> None:
    assert merged_blocks.linear({}, 3).weights == {3: 1.0}
    assert merged_blocks.linear({3: Linear({4: 1.0})}, 3).weights == {4: 1.0}


def test_the_order_of_entries_is_no_difference() -> None:
    one, other = {1: Linear({1: 1.0}), 2: CHANNELWISE}, {2: CHANNELWISE, 1: Linear({1: 1.0})}
    assert repr(merged_blocks.ordered(one)) == repr(merged_blocks.ordered(other))
    assert repr(merged_blocks.ordered(one)) != repr(merged_blocks.ordered({1: Linear({1: 0.5}), 2: CHANNELWISE}))


@pytest.mark.parametrize(
    "blends", [{}, {2: Linear({2: -1.0, 3: 1 / 3, 9: 1.0})}, {3: CHANNELWISE, 0: Linear({1: 1.0})}]
)
def test_files_and_back(tmp_path: Path, blends: Blends) -> None:
    said, arrays = merged_blocks.to_file(blends, 7)
    if arrays:
        save_file(arrays, tmp_path / merged_blocks.ARRAYS)
    step = StoredStep.model_validate(json.loads(json.dumps({"step": 7, "kept": [0], "blends": said})))
    assert merged_blocks.read(StoredFolder(tmp_path, "path.json", "layercliff prune"), step, 10) == blends


def test_paths_from_before_there_were_merges(tmp_path: Path) -> None:
    step = StoredStep.model_validate({"step": 1, "kept": [0, 1]})
    assert merged_blocks.read(StoredFolder(tmp_path, "path.json", "layercliff prune"), step, 2) == {}


def test_summary() -> None:
    said = merged_blocks.summary({3: CHANNELWISE, 0: Linear({1: 1.0})})
    assert said["0"] == {"weights": {"1": 1.0}}
    assert said["3"]["heads"] == {"3": 1, "5": 1}
    assert said["3"]["channels"] == {"3": 1, "5": 2}
    assert said["3"]["outside"] == {"3": 0.5, "5": 0.5}
