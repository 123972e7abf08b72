"""Two rows of every benchmark's layout, made up."""

from typing import Any

COLOURS = ["red", "green", "white", "black", "pink", "brown", "grey", "blue", "orange", "yellow"]
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
ROWS |= {
    "social_iqa": [
        {
            "context": "Ann lost her key.",
            "question": "What will Ann do next?",
            "answerA": "sing",
            "answerB": "look for it",
            "answerC": "sing",
            "label": "2",
        },
        {
            "context": "Ann lost her key.",
            "question": "How would you describe Ann?",
            "answerA": "careless",
            "answerB": "made of glass",
            "answerC": "a kind of fish",
            "label": "1",
        },
    ],
    "copa": [
        {
            "premise": "The cup fell. ",
            "choice1": "It broke.",
            "choice2": "It sang.",
            "question": "effect",
            "idx": 0,
            "label": 0,
        },
        {
            "premise": "The snow melted.",
            "choice1": "It was night.",
            "choice2": "The sun shone.",
            "question": "cause",
            "idx": 1,
            "label": 1,
        },
    ],
    "rte": [
        {"sentence1": "Ann bought a red car.", "sentence2": "Ann has a car.", "idx": 0, "label": 0},
        {"sentence1": "Ann sold her car.", "sentence2": "Ann has a car.", "idx": 1, "label": 1},
    ],
    "cb": [
        {"premise": "Ann says that it rains.", "hypothesis": "it rains", "idx": 0, "label": 2},
        {"premise": "Ann knows that it snows.", "hypothesis": "it snows", "idx": 1, "label": 0},
    ],
    "sst2": [
        {"sentence": "a joy from beginning to end . ", "label": 1, "idx": 0},
        {"sentence": "dull ", "label": 0, "idx": 1},
    ],
    "mrpc": [
        {"sentence1": "It rained .", "sentence2": "There was rain .", "label": 1, "idx": 4},
        {"sentence1": "There was rain .", "sentence2": "It snowed .", "label": 0, "idx": 9},
    ],
    "medqa": [
        {
            "question": "A man coughs. What helps?",
            "answer": "rest",
            "options": {"A": "noise", "B": "rest", "C": "dust", "D": "ice", "E": "smoke"},
            "meta_info": "step1",
            "answer_idx": "B",
        },
        {
            "question": "A woman sneezes. What helps?",
            "answer": "a cloth",
            "options": {"A": "noise", "B": "pepper", "C": "dust", "D": "ice", "E": "a cloth"},
            "meta_info": "step1",
            "answer_idx": "E",
        },
    ],
    "medqa_4options": [
        {
            "id": f"test-{k}",
            "sent1": f"A man has {k} coughs. What helps?",
            "sent2": "",
            "ending0": "noise",
            "ending1": "rest",
            "ending2": "dust",
            "ending3": "ice",
            "label": 1,
        }
        for k in (1, 2)
    ],
    "medmcqa": [
        {
            "id": f"m{k}",
            "question": f"Bone {k} is in the:",
            "opa": "foot",
            "opb": "hand",
            "opc": "head",
            "opd": "knee",
            "cop": k,
            "choice_type": "single",
            "subject_name": "Anatomy",
            "topic_name": None,
        }
        for k in (0, 3)
    ],
    "copycolors": [
        {
            "id": 3 + k,
            "question": f"{thing} is {colour}. What color is {thing}?",
            "choices": {"label": list("ABCDEFGHIJ"), "text": COLOURS},
            "answerKey": COLOURS.index(colour),
        }
        for k, (thing, colour) in enumerate((("Mint", "green"), ("Rust", "brown")))
    ],
    "basic_skills_arithmetic": [
        {"id": f"{k}", "question": f"4 * {k} =", "choices": [f"{4 * n}" for n in range(10)], "gold": k} for k in (2, 7)
    ],
    "basic_skills_coding": [
        {
            "id": f"{k}",
            "question": f"def add(a):\n    return {k} +\n    ",
            "choices": ["a", "a()", "a * 2", " 'a'", "None"],
            "gold": 0,
        }
        for k in (1, 2)
    ],
    "basic_skills_string_operations": [
        {"id": "0", "question": "The letters of '' are", "choices": ["0", " ", "1", "2", "none"], "gold": 4},
        {"id": "1", "question": "The reverse of 'ab' is", "choices": ["ba ", "ba", "ab", "b"], "gold": 1},
    ],
}
ROWS |= {
    f"basic_skills_{name}": [
        {"id": f"{k}", "question": f"{k} and {k} and", "choices": ["9", f"{k}", "x", "8"], "gold": 1} for k in (1, 2)
    ]
    for name in ("common_knowledge", "logical_reasoning", "pattern")
}

_TEXT = {
    "hellaswag": "ctx_a",
    "piqa": "goal",
    "winogrande": "sentence",
    "openbookqa": "question_stem",
    "copa": "premise",
    "rte": "sentence1",
    "cb": "premise",
    "sst2": "sentence",
    "mrpc": "sentence1",
    "medqa_4options": "sent1",
}


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
