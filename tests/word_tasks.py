"""Questions made of words that the tiny tokenizer knows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from layercliff.choices import Format
from layercliff.metrics.forecast import FEATURES
from layercliff.tasks.question import Question, Task

WORDS = ("blue", "red", "green", "yellow", "one", "two", "three", "iron")


def task(n: int, form: Format, options: int = 3, name: str = "words") -> Task:
    """Questions words0, words1, ... that name different options and have different answers, each a group of its own."""
    questions = tuple(
        Question(
            f"{name}{i}",
            f"which of these is {i}?",
            tuple(WORDS[(i + j) % 8] for j in range(options)),
            i % options,
            f"g{i}",
        )
        for i in range(n)
    )
    return Task(name, questions, "made up", "none", form)


def written(directory: Path, n: int = 40) -> str:
    """The same questions as a file of a user's own, by its path."""
    rows = [
        {"id": question.id, "question": question.text, "options": question.options, "answer": question.gold}
        for question in task(n, "first_token").questions
    ]
    (directory / "words.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return str(directory / "words.jsonl")


def forecast_study(directory: Path) -> Path:
    """A study's table that a rule can be fitted to, without its runs."""
    directory.mkdir()
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {"model": [f"m{i % 6}" for i in range(24)], "task": "t"}
    columns |= {name: rng.random(24) for name in (*FEATURES, "ratio")}
    pl.DataFrame(columns).write_parquet(directory / "training.parquet")
    return directory
