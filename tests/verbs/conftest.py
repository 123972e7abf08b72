"""Fixtures of the verbs' tests."""

import made_up
import pytest

from layercliff.tasks.question import Task


@pytest.fixture
def task() -> Task:
    """Forty questions, twenty to either half."""
    return made_up.task(40, "first_token")
