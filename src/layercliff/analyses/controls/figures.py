"""The figures of a trace beside its controls."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import polars as pl

from layercliff.analyses.controls.result import MODEL, Controlled
from layercliff.metrics.phases import rises
from layercliff.report import words
from layercliff.report.chart import BLUE, GREEN, HEAVY, INK, ORANGE, PURPLE, Chart, Figure, level
from layercliff.report.depth_chart import counted, depth_axis, lines, numbers, placed, transition_mark, where

NAMES = {
    MODEL: "the model",
    "random-weights": "random weights",
    "shuffled-gold": "shuffled gold",
    "wrong-gold": "right option replaced",
    "shuffled-options": "options in another order",
    "constant": "best constant answer",
}
COLOURS = dict(zip(NAMES.values(), (BLUE, PURPLE, ORANGE, HEAVY, GREEN, INK), strict=True))
PLAIN = "plain text"


def figures(found: Controlled) -> Iterator[Figure]:
    """Margin and accuracy of each task beside its controls', and the loss on plain text by depth and along a path."""
    for task in dict.fromkeys(found.curves["task"]):
        curves = found.curves.filter(pl.col("task") == task)
        for value, title in (("margin", "decision margin"), ("accuracy", "layer accuracy")):
            text = (
                f"{title.capitalize()} beside controls, with {words.PERCENT} intervals over "
                "questions (thin bars: the range over draws); T is the model's. "
                f"{_made(found, task)} {found.caption(task)}."
            )
            yield Figure(
                f"controls-{task}-{value}", f"Controls: {title}", text, _curves(found, curves, task, value, title)
            )
    if not len(found.text):
        return
    n = f"{found.text['paragraphs'][0]} passages, {found.text['tokens'][0]} tokens"
    about = f"{found.subject.model} · {PLAIN} · {n} · {found.subject.dtype} · seed {found.subject.seed}"
    by_depth = found.text.filter(pl.col("where") == "depth")
    text = (
        "Loss per token of plain text at every depth, where there is nothing to decide, with "
        f"{words.PERCENT} intervals over passages; T is that of the questions. {about}."
    )
    yield Figure("controls-text-depth", "Plain text: loss over depth", text, _loss(found, by_depth))
    path = found.text.filter(pl.col("where") == "step")
    if len(path) > 1:
        text = (
            "By how much the loss per token of plain text rises along the path by "
            f"{found.settings['plain-text'].path}, with paired {words.PERCENT} intervals over "
            f"passages. {about}."
        )
        yield Figure("controls-text-path", "Plain text: loss along the path", text, _rise(path))


def sentence(found: Controlled) -> str:
    """Where the model and its controls are decided."""
    rows = _ordered(found.table.filter(pl.col("task") == found.name))
    parts = [f"{NAMES[row['control']]} {_depth(row)}{_share(row)}" for row in rows]
    return f"T beside controls: {'; '.join(parts)}.{_fall(found)}"


def table(found: Controlled) -> tuple[tuple[str, ...], ...]:
    """A heading and a row per task and control."""
    head = (
        "task",
        "control",
        "questions",
        "draws",
        "T",
        "draws decided",
        "margin at the last depth",
        "accuracy",
        "chance",
        "largest rise",
    )
    rows = [
        (
            row["task"],
            NAMES[row["control"]],
            str(row["n"]),
            str(row["draws"]),
            f"{_depth(row)} [{_interval(row)}]",
            f"{row['decided_draws']:.0%}",
            _value(row, "margin", "+"),
            _value(row, "accuracy", ""),
            f"{row['chance']:.2f}",
            f"{row['jump_rise']:+.2f} in block {row['jump_block']} ({row['jump_sharpness']:.0%} of all rises)",
        )
        for row in _ordered(found.table)
    ]
    return (head, *rows)


def _ordered(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows by task, the model first, whenever a control was made."""
    tasks = list(dict.fromkeys(rows["task"]))
    return sorted(rows.to_dicts(), key=lambda row: (tasks.index(row["task"]), list(NAMES).index(row["control"])))


def _made(found: Controlled, task: str) -> str:
    """How the controls of a task were made."""
    shown = found.table.filter(pl.col("task") == task)
    draws = dict(zip(shown["control"], shown["draws"], strict=True))
    ways = {
        "random-weights": "random weights: a model of the same shape that has learnt nothing",
        "shuffled-gold": "shuffled gold: right answers exchanged between questions",
        "wrong-gold": "right option replaced: it is not compared, and a wrong one, drawn, is called right",
        "shuffled-options": "another order: each question's options lettered in an order drawn by the seed",
        "constant": "constant: the answer that is right most often in the other half of the questions",
    }
    parts = [f"{way} (mean of {draws[n]} draws)" if draws[n] > 1 else way for n, way in ways.items() if n in draws]
    return f"{'; '.join(parts).capitalize()}." if parts else ""


def _depth(row: dict[str, Any]) -> str:
    depth = row["transition_depth"]
    return "undecided" if depth is None else str(depth)


def _interval(row: dict[str, Any]) -> str:
    ends = (row[f"transition_depth_{end}"] for end in ("low", "high"))
    return "-".join("undecided" if end is None else str(end) for end in ends)


def _share(row: dict[str, Any]) -> str:
    return f" ({row['decided_draws']:.0%} of {row['draws']} draws decided)" if row["draws"] > 1 else ""


def _value(row: dict[str, Any], name: str, sign: str) -> str:
    return f"{row[name]:{sign}.2f} [{row[f'{name}_low']:{sign}.2f}, {row[f'{name}_high']:{sign}.2f}]"


def _fall(found: Controlled) -> str:
    """How the loss on plain text falls over depth, as sharply as the margin rises or not."""
    if not len(found.text):
        return ""
    block, fall, share = rises(-found.text.filter(pl.col("where") == "depth")["loss"].to_numpy())
    return (
        f" The loss on plain text falls most in block {int(block)}, by {float(fall):.2f} nats "
        f"({float(share):.0%} of all falls)."
    )


def _curves(found: Controlled, curves: pl.DataFrame, task: str, value: str, title: str) -> Chart:
    asked = found.table.filter(pl.col("task") == task).select("control", "n", "draws")
    shown = placed(curves.join(asked, on="control")).with_columns(curve=pl.col("control").replace_strict(NAMES))
    colours = {name: colour for name, colour in COLOURS.items() if name in set(shown["curve"])}
    n_layers = int(shown["depth"].to_numpy().max())
    hover: list[alt.Tooltip] = [
        *where(),
        counted(),
        alt.Tooltip("draws:Q"),
        *numbers([f"{value}_draw_least", f"{value}_draw_greatest", "chance"]),
    ]
    x, domain = depth_axis(n_layers), (-1.0, 1.0) if value == "margin" else (0.0, 1.0)
    drawn = alt.Chart(shown.filter(pl.col(f"{value}_draw_least") < pl.col(f"{value}_draw_greatest")))
    spread = drawn.mark_rule(opacity=0.7).encode(
        x=x, color=alt.Color("curve:N"), y=alt.Y(f"{value}_draw_least:Q"), y2=alt.Y2(f"{value}_draw_greatest:Q")
    )
    chance = float(shown.filter(pl.col("control") == MODEL)["chance"][0])
    at = level(0.0, "") if value == "margin" else level(chance, f"chance {chance:.2f}")
    return alt.layer(
        at,
        *transition_mark(found.transition(MODEL, task), n_layers),
        *lines(shown, x, value, title, "curve", colours, hover, domain),
        spread,
    )


def _loss(found: Controlled, by_depth: pl.DataFrame) -> Chart:
    n_layers = len(by_depth) - 1
    shown = placed(by_depth, "index").with_columns(curve=pl.lit(PLAIN))
    hover = [*where("index"), *_passages()]
    x = depth_axis(n_layers, field="index:Q")
    marks = transition_mark(found.transition(MODEL, found.name), n_layers)
    return alt.layer(*marks, *lines(shown, x, "loss", "loss (nats per token)", "curve", {PLAIN: INK}, hover, "log"))


def _passages() -> list[alt.Tooltip]:
    return [alt.Tooltip("paragraphs:Q", title="passages"), alt.Tooltip("tokens:Q")]


def _rise(path: pl.DataFrame) -> Chart:
    shown = path.with_columns(curve=pl.lit(PLAIN))
    hover = [
        alt.Tooltip("index:Q", title="step"),
        alt.Tooltip("removed:Q", title="blocks removed"),
        *_passages(),
        *numbers(["loss"]),
    ]
    x = alt.X("removed:Q", title="blocks removed", axis=alt.Axis(grid=False, format="d", tickMinStep=1))
    return alt.layer(
        level(0.0, ""), *lines(shown, x, "rise", "rise of the loss (nats per token)", "curve", {PLAIN: INK}, hover)
    )
