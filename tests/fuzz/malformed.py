"""Inputs that nobody would write on purpose, and a few that are harmless: files of questions, of text, of studies, and
command lines.

Each case follows from a number alone, so that a failure is repeated by its number.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

WORDS = ("iron", "water", "paper", "wood", "blue", "green", "red", "one", "two", "three")
STRANGE = (
    None,
    True,
    False,
    0,
    -1,
    2.5,
    1e308,
    float("nan"),
    10**30,
    "",
    " ",
    "\0",
    "\x1b[31m",
    "\u202e",
    "A" * 5000,
    [],
    {},
    [None],
    [[]],
    {"text": None},
    ["a", "a"],
    {"text": "ab", "label": ["A", "B"]},
    {"text": ["a"], "label": []},
)
NUMBERS = (
    "-1",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "0x1",
    "١",
    "",
    " ",
    "1,2",
    "9" * 40,
    "9" * 5000,
    "1.5",
    "one",
    "--",
    "\x1b",
)
RANGES = ("4-0", "0-9999999999", "-1", "1-", "-", ",", "1-2-3", "a-b", "9" * 5000, "0,,1-x", "\x1b[0m", "0-1\n2")
FIELDS = ("id", "group", "question", "options", "choices", "answer", "answerKey", "option_a", "prompt")
WRONG_NAMES = (
    "x" * 300 + ".jsonl",
    "loop.jsonl",
    "folder.jsonl",
    "bad\udcff.jsonl",
    "~nobody-at-all/t.jsonl",
    "",
    ",",
    "=",
    "a=b=c",
    "..",
    "joint=t.jsonl",
    "t.txt",
    "no.jsonl",
    "arc_easy=no",
    "arc_easy=t.csv",
    "\x1b[31m",
    "citis",
    "hub:",
    "mmlu_nothing",
)


@dataclass(frozen=True)
class Case:
    """Files by name, and a command line in whose arguments MODEL stands for a tiny model.

    `questions` is how many are asked where the input is harmless, None where it must be refused, and -1 where either
    may be right: then what is accepted is counted by an independent reader.
    """

    kind: str
    files: dict[str, bytes]
    arguments: tuple[str, ...]
    questions: int | None


def case(number: int) -> Case:
    """The case of a number."""
    rng = random.Random(number)
    made: Case = KINDS[number % len(KINDS)](rng)
    return made


def good_row(rng: random.Random, number: int) -> dict[str, Any]:
    """A row that is right, in one of the layouts."""
    options, gold = rng.sample(WORDS, 3), rng.randrange(3)
    layout = rng.randrange(5)
    text = f"which is number {number}?"
    if layout == 0:
        return {"id": number and 100 + number, "question": text, "options": options, "answer": gold}
    if layout == 1:
        return {"question": text, "choices": options, "answer": "ABC"[gold], "group": number // 2}
    if layout == 2:
        return {"prompt": text, "A": options[0], "B": options[1], "C": options[2], "D": None, "answer": options[gold]}
    labels = ["A", "B", "C"]
    if layout == 3:
        return {"question": text, "choices": {"text": options, "label": labels}, "answerKey": labels[gold]}
    choices = [{"text": option, "label": label} for option, label in zip(options, labels, strict=True)]
    return {"question": {"stem": text, "choices": choices}, "answerKey": labels[gold]}


def _lines(rng: random.Random, n: int) -> list[str]:
    return [json.dumps(good_row(rng, number), ensure_ascii=rng.random() < 0.5) for number in range(n)]


def _plan(name: str = "t.jsonl", *more: str) -> tuple[str, ...]:
    return ("plan", "-m", "MODEL", "-t", name, *more)


def bad_line(rng: random.Random) -> Case:
    """One line of JSONL that is no row: refused, or left out where that is asked for."""
    lines = _lines(rng, 6)
    row = good_row(rng, 99)
    broken = rng.choice(
        [
            lines[0][: len(lines[0]) // 2],
            "[" * 1000,
            '{"a":' * 1000,
            json.dumps([1]),
            '"text"',
            "nul",
            "{} {}",
            "\\",
            "\ud83d".encode("utf-8", "replace").decode() + "{",
            '{"question": "\\ud83d", "options": ["a", "b"], "answer": 0}',
            '{"question": "q", "options": ["a", "b"], "answer": ' + "9" * 5000 + "}",
            '{"question": "q", "options": ["a", "b"], "answer": 0, "answer": 1}',
            '{"question": "q", "options": ["a", "b"], "answer": -0.5}',
            json.dumps({**row, "answer": "nothing", "answerKey": "Z"}),
            json.dumps({"question": "q", "options": ["a", "a"], "answer": 0}),
            json.dumps({"question": "", "options": ["a", "b"], "answer": 0}),
            json.dumps({"question": "q", "options": ["a", ""], "answer": 0}),
            json.dumps({"question": "q", "options": [str(i) for i in range(27)], "answer": 0}),
            json.dumps({"question": "q", "options": ["a"], "answer": 0}),
            json.dumps({"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "A"]}, "answerKey": "A"}),
            json.dumps({"question": None, "options": ["a", "b"], "answer": 0}),
            json.dumps({"question": "q", "options": ["a", None], "answer": 0}),
        ]
    )
    lines.insert(rng.randrange(7), broken)
    skip = rng.random() < 0.3
    return Case(
        "bad line",
        {"t.jsonl": "\n".join(lines).encode()},
        _plan("t.jsonl", *(["--skip-bad-rows"] if skip else [])),
        6 if skip else None,
    )


def strange_field(rng: random.Random) -> Case:
    """One field of a row that is something else."""
    rows = [good_row(rng, number) for number in range(4)]
    rng.choice(rows)[rng.choice(FIELDS)] = rng.choice(STRANGE)
    return Case("strange field", {"t.jsonl": "\n".join(map(json.dumps, rows)).encode()}, _plan(), -1)


def flipped_bytes(rng: random.Random) -> Case:
    """A few bytes of a file that are others."""
    content = bytearray("\n".join(_lines(rng, 5)).encode())
    for _ in range(rng.randrange(1, 4)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return Case("flipped bytes", {"t.jsonl": bytes(content)}, _plan(), -1)


def cut_file(rng: random.Random) -> Case:
    """A file that ends too early, or holds no row."""
    whole = "\n".join(_lines(rng, 4)).encode()
    content = rng.choice(
        [
            b"",
            b"\n\n",
            b"\xef\xbb\xbf",
            whole[:-3],
            whole[:10],
            b"\xff\xfe" + whole,
            b"PAR1" + whole,
            whole.decode().encode("utf-16"),
        ]
    )
    return Case("cut file", {"t.jsonl": content}, _plan(), None)


def table(rng: random.Random) -> Case:
    """A CSV file with one thing wrong, or nothing."""
    rows = [f"which is {i}?,{','.join(rng.sample(WORDS, 2))},{rng.randrange(2)}" for i in range(5)]
    header = "question,option_a,option_b,answer"
    wrong = rng.choice(
        [
            '"which?,iron,water,0',
            "which?,iron,water",
            "which?,iron,water,0,more",
            f"{'x' * 140_000},iron,water,0",
            'wh"ich?,"iron"s,water,0',
            "which?,iron,water,7",
            "which?,iron,iron,0",
            ",iron,water,0",
            "which?,,water,0",
            f"which?,iron,water,{'9' * 5000}",
            "which?,iron,water,",
        ]
    )
    kind = rng.randrange(4)
    if kind == 0:
        header = rng.choice(
            [
                "",
                "question,answer",
                header + ",answer",
                header.replace(",", ";"),
                '"question,option_a',
                "a,b,c,d",
                header.replace("option_a", "option_c"),
            ]
        )
    elif kind < 3:
        rows.insert(rng.randrange(6), wrong)
    skip = kind == 2
    content = "\n".join([header, *rows]) + rng.choice(["", "\n", "\n\n"])
    encoded = content.replace("\n", rng.choice(["\n", "\r\n"])).encode()
    name = rng.choice(["t.csv", "T.CSV", "a, b.csv"])
    questions = 5 if kind >= 2 else None
    return Case("table", {name: encoded}, _plan(name, *(["--skip-bad-rows"] if skip else [])), questions)


def harmless(rng: random.Random) -> Case:
    """What looks strange and is right."""
    lines = _lines(rng, 5)
    end = rng.choice(["\n", "\r\n", "\n\n", "\n \t\n"])
    mark = rng.choice([b"", b"\xef\xbb\xbf"])
    extra = json.dumps(
        {"question": "\u2028\x85 q \u202e\x1b[31m", "options": ["\x0ca", "b\x07"], "answer": 1, "more": [[[{}]]]},
        ensure_ascii=False,
    )
    name = rng.choice(["t.jsonl", "T.JSONL", "a,b.jsonl", "run[1].jsonl", "\u00e4 b.jsonl", "*.jsonl"])
    return Case("harmless", {name: mark + end.join([*lines, extra]).encode()}, _plan(name), 6)


def name(rng: random.Random) -> Case:
    """A task that is not there, or cannot be."""
    wanted = rng.choice(WRONG_NAMES)
    if rng.random() < 0.3:
        wanted = ",".join(rng.choices(WRONG_NAMES, k=3))
    return Case("name", {"t.txt": b"text"}, _plan(wanted), None)


def text(rng: random.Random) -> Case:
    """A text that cannot be read, before the model is."""
    content, suffix = rng.choice(
        [
            (b'{"text": 3}', ".jsonl"),
            (b'{"words": "a"}', ".jsonl"),
            (b"[" * 5000, ".jsonl"),
            (b'{"text": "\\ud83d"}', ".jsonl"),
            (b'{"text": ""}', ".jsonl"),
            (b"", ".jsonl"),
            (b'"text"', ".jsonl"),
            (b'{"text": "a"', ".JSONL"),
            (b"\xff", ".txt"),
            (b"", ".txt"),
            (b" \n \n", ".txt"),
            (b"PAR1", ".parquet"),
            (b"PAR1" + b"\0" * 40 + b"PAR1", ".parquet"),
            (b"", ".parquet"),
            (b'{"text": ' + b"9" * 5000 + b"}", ".jsonl"),
        ]
    )
    named = rng.choice(
        [
            f"x{suffix}",
            f"x{suffix}",
            f"x{suffix}",
            "nowhere.txt",
            "loop.jsonl",
            "folder.jsonl",
            "y" * 300,
            "hub:",
            "hub:a/b",
            "bad\udcff.txt",
            "",
        ]
    )
    verb = rng.choice([("prune", "--criterion", "loss"), ("lens",), ("controls",)])
    rows = "\n".join(_lines(rng, 4)).encode()
    return Case(
        "text",
        {f"x{suffix}": content, "t.jsonl": rows},
        (verb[0], "-m", "MODEL", "-t", "t.jsonl", "-o", "run", "--text", named, *verb[1:]),
        None,
    )


def study(rng: random.Random) -> Case:
    """A study file with one thing wrong."""
    base = "models: [MODEL]\ntasks: [t.jsonl]\n"
    setting, value = (
        rng.choice(["shots", "limit", "race", "to_ratio", "draws", "memory_gb", "batch_tokens", "remove"]),
        rng.choice([".nan", ".inf", "-1", "true", "[1]", "{a: 1}", "x", "9" * 40, "9" * 5000, "''"]),
    )
    bomb = "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 30))])
    content = rng.choice(
        [
            base + f"{setting}: {value}\n",
            base + f"seeds: [{rng.choice(['-1', 'true', 'x', '9' * 40, '.nan', '[0]'])}]\n",
            base + f"{rng.choice(['seeeds', 'sedes', '1', '~', '[a]'])}: 1\n",
            base + f"criteria: [{rng.choice(['magin', '1', '[]', 'margin, margin'])}]\n",
            base + base,
            "models: [a",
            "- a",
            "",
            "a: &a [*a]",
            bomb,
            "[" * 600,
            "a: !!python/name:os.system ''",
            "a: !!int ''",
            "models: []\ntasks: [t]",
            "models: [MODEL]",
            "models: ['']\ntasks: [t]",
            "models: a\ntasks: t",
            base + "x: \x07",
            "models: [MODEL]\ntasks: [{task: t.jsonl, limit: -1}]",
        ]
    )
    name = rng.choice(["s.yaml", "s.yaml", "s.yaml", "s.yaml", "nowhere.yaml", "folder.jsonl", "loop.jsonl", "z" * 300])
    return Case("study", {"s.yaml": content.encode()}, ("study", name, "--plan"), None)


def options(rng: random.Random) -> Case:
    """An option of a verb that is no number, or none that can be."""
    verb = rng.choice(
        [
            "trace",
            "plan",
            "prune",
            "compare",
            "eval",
            "controls",
            "lens",
            "noise",
            "ablate",
            "similarity",
            "patch",
            "recover",
            "forecast",
            "claims",
        ]
    )
    flags = {
        "prune": ["--remove", "--to-ratio", "--splits", "--race", "--draws", "--memory-gb"],
        "compare": ["--remove", "--to-ratio", "--race", "--memory-gb"],
        "controls": ["--draws"],
        "lens": ["--tokens", "--steps"],
        "noise": ["--draws", "--eps"],
        "similarity": ["--tokens", "--step"],
        "patch": ["--step"],
        "forecast": ["--memory-gb"],
        "recover": ["--seeds", "--updates", "--batch", "--rate", "--rank", "--distill", "--step"],
        "plan": ["--remove", "--memory-gb"],
    }
    ranges = {"prune": ["--protect", "--within"], "compare": ["--protect", "--within"], "eval": ["--depths"]}
    base = [verb, "-m", "MODEL", "-t", "t.jsonl", *([] if verb == "plan" else ["-o", "run"])]
    if verb == "compare":
        base += ["--criteria", "margin,tail"]
    if verb in ranges and rng.random() < 0.5:
        value, flag = rng.choice(RANGES), rng.choice(ranges[verb])
    else:
        value, flag = (
            rng.choice([v for v in NUMBERS if v not in {"1,2", "١"}]),
            rng.choice(["--shots", "--limit", "--seed", "--batch-tokens", *flags.get(verb, [])][-6:]),
        )
        if verb == "eval" and flag == "--limit":
            flag = "--shots"
        if flag in ("--rate", "--distill", "--to-ratio", "--race", "--memory-gb", "--eps") and value == "1.5":
            value = "-1.5"
    return Case("options", {"t.jsonl": "\n".join(_lines(rng, 4)).encode()}, (*base, f"{flag}={value}"), None)


KINDS: tuple[Callable[[random.Random], Case], ...] = (
    bad_line, strange_field, flipped_bytes, cut_file, table, harmless, name, text, study, options, options,
)  # fmt: skip
