"""Fixtures of the verbs' tests."""

import pytest
import word_tasks

from layercliff.tasks.question import Task


@pytest.fixture
def task() -> Task:
    """Forty questions, twenty to either half."""
    return word_tasks.task(40, "first_token")
