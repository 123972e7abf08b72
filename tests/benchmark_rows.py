"""Two rows of every benchmark's layout, made up."""

from typing import Any

ROWS: dict[str, list[dict[str, Any]]] = {
    "arc_easy": [
        {
            "id": "a1",
            "question": "What melts ice?",
            "choices": {"text": ["heat", "cold", "wind"], "label": ["1", "2", "3"]},
            "answerKey": "1",
        },
        {
            "id": "a2",
            "question": "What do cows eat?",
            "choices": {"text": ["iron", "grass", "sand", "glass", "salt"], "label": list("ABCDE")},
            "answerKey": "B",
        },
    ],
    "hellaswag": [
        {
            "ind": 7,
            "activity_label": "Baking bread",
            "ctx_a": "A man kneads dough. [step] He waits.",
            "ctx_b": "the oven",
            "endings": [
                "[title] sings.",
                "gets  hot [substeps] soon.",
                "[header] flies away.",
                "melts. [title] The end",
            ],
            "source_id": "clip1",
            "split": "val",
            "label": "1",
        },
        {
            "ind": 7,
            "activity_label": "Sailing",
            "ctx_a": "Wind fills the sail.",
            "ctx_b": "",
            "endings": ["the boat moves.", "the boat cooks.", "the boat reads.", "the boat sleeps."],
            "source_id": "clip1",
            "split": "val",
            "label": "0",
        },
    ],
    "piqa": [
        {"goal": "Dry wet shoes.", "sol1": "Fill them with paper.", "sol2": "Fill them with soup.", "label": 0},
        {"goal": "Dry wet shoes.", "sol1": "Freeze them.", "sol2": "Put them in the sun.", "label": 1},
    ],
    "winogrande": [
        {
            "sentence": "The cup did not fit into the bag because the _ was too big.",
            "option1": "cup",
            "option2": "bag",
            "answer": "1",
        },
        {
            "sentence": "The cup did not fit into the bag because the _ was too small.",
            "option1": "bag",
            "option2": "cup",
            "answer": "1",
        },
    ],
    "boolq": [
        {"idx": 0, "passage": "Tea -- Tea is made from leaves.", "question": "is tea made from leaves", "label": 1},
        {"idx": 1, "passage": "Tea -- Tea is made from leaves.", "question": "is tea made from stones", "label": 0},
    ],
    "openbookqa": [
        {
            "id": "o1",
            "question_stem": "A lamp gives",
            "choices": {"text": ["light", "milk", "wool", "rain"], "label": list("ABCD")},
            "answerKey": "A",
        },
        {
            "id": "o2",
            "question_stem": "Sheep give",
            "choices": {"text": ["light", "oil", "wool", "rain"], "label": list("ABCD")},
            "answerKey": " C",
        },
    ],
    "commonsense_qa": [
        {
            "id": "c1",
            "question": " Where is a pillow? ",
            "question_concept": "pillow",
            "choices": {"label": list("ABCDE"), "text": ["bed", "river", "oven", "bed", "sky"]},
            "answerKey": "A",
        },
        {
            "id": "c2",
            "question": "Where is a fish?",
            "question_concept": "fish",
            "choices": {"label": list("ABCDE"), "text": ["bed", "river", "oven", "shoe", "sky"]},
            "answerKey": "B",
        },
    ],
    "sciq": [
        {
            "question": "What boils at 100 degrees?",
            "support": " Water boils at 100 degrees.",
            "distractor1": "iron",
            "distractor2": "gold",
            "distractor3": "air",
            "correct_answer": "water",
        },
        {
            "question": "What do plants need?",
            "support": "",
            "distractor1": "salt",
            "distractor2": "noise",
            "distractor3": "paint",
            "correct_answer": "light",
        },
    ],
    "mmlu": [
        {
            "question": " What is 2 + 2? ",
            "subject": "elementary_mathematics",
            "choices": ["3", "4", "5", "6"],
            "answer": 1,
        },
        {
            "question": "What is a lease?",
            "subject": "professional_law",
            "choices": ["a dog", "a rope", "a contract", "a tax"],
            "answer": 2,
        },
        {
            "question": "What is 2 + 3?",
            "subject": "elementary_mathematics",
            "choices": ["3", "4", "5", "6"],
            "answer": 2,
        },
    ],
}
ROWS["arc_challenge"] = ROWS["arc_easy"]

_TEXT = {"hellaswag": "ctx_a", "piqa": "goal", "winogrande": "sentence", "openbookqa": "question_stem"}


def many(name: str, n: int) -> list[dict[str, Any]]:
    """`n` rows that differ in their text, in groups of two or fewer."""
    text = _TEXT.get(name, "question")
    found = []
    for i in range(n):
        row, pair = ROWS[name][i % 2], str(i // 2)
        own = {key: f"n{i}" for key in ("id", "idx") if key in row}
        shared = {key: f"{row[key]} {pair}" for key in ("source_id", "passage", "option1", "option2") if key in row}
        found.append({**row, **own, **shared, text: f"{i}: {row[text]}"})
    return found
