"""The words that settings are chosen from, for the library, the command line and the files."""

from collections.abc import Sequence
from typing import Literal

Format = Literal["letter", "cloze", "first_token"]
"""How a question is asked: options lettered in the prompt, continuations scored whole, or by their first tokens."""

Scored = Literal["cloze", "letter"]
"""Formats whose options can be scored as continuations: their texts, or their letters."""

Depths = Sequence[int] | Literal["all"]
"""Depths to read beside the last one."""

DType = Literal["float32", "bfloat16", "float16"]

Normalisation = Literal["char", "token", "byte", "sum"]
"""What a *cloze* log-likelihood is divided by: characters, tokens or UTF-8 bytes of the option, or nothing."""

Order = Literal["shuffled", "file"]
"""Which questions `limit` keeps: the first after a seeded shuffle, or the first of the task's own file.

The second is what lm-evaluation-harness does, per subject.
"""

Sampler = Literal["fixed", "first_n", "per_item"]
"""Which worked examples stand before a question: one seeded set, or those of lm-evaluation-harness's two samplers."""

Sharing = Literal["branches", "lead", "nothing", "alike", "alone"]
"""How rows are run, from most sharing to least. Each asks less of a network than the one before.

* ``branches``: a question's rows as branches of one sequence, after the prefix of all rows.
* ``lead``: only the prefix of all rows runs once.
* ``nothing``: whole rows, padded together.
* ``alike``: only rows of equal length together.
* ``alone``: one row at a time.
"""

Apart = Literal["nothing", "questions", "rows"]
"""What shares no token, however much could be shared."""

OptionMass = Literal["last", "all", "none"]
"""Depths at which the probability of all options together is computed."""

Half = Literal["select", "report"]
"""Pruning selects on one half of the questions and reports on the other."""

At = Literal["recommended", "before-cliff"]
"""Named steps of a path: the recommended one, and the last before the collapse."""


Positions = Literal["all", "decision"]
"""Where an intervention changes the stream: at every position of a prompt, or only at those that are read."""

Control = Literal["random-weights", "shuffled-gold", "wrong-gold", "shuffled-options", "constant", "plain-text"]
"""What a trace is compared with: tasks without a decision to make, or the same task put differently."""

Lenses = Literal["tuned", "probe"]
"""Readings beside the logit lens: a map trained for each depth, or a direction fitted to the questions."""

TrainingMethod = Literal["lora", "full"]
"""What a recovery trains: low-rank matrices, merged afterwards (Hu et al. 2021), or every weight."""

Material = Literal["unasked", "select"]
"""What a recovery is trained on: questions asked nowhere else, or the half that chose the path."""
