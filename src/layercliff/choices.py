"""The words that settings are chosen from, defined once for the library, the command line and the files."""

from collections.abc import Sequence
from typing import Literal

Format = Literal["letter", "cloze", "first_token"]
"""How a question is asked: options lettered in the prompt, continuations scored whole, or by their first tokens."""

Scored = Literal["cloze", "letter"]
"""Formats whose options can be scored as continuations of the prompt: their texts, or their letters after the lettered
options."""

Depths = Sequence[int] | Literal["all"]
"""Depths to read beside the last one."""

DType = Literal["float32", "bfloat16", "float16"]

Normalisation = Literal["char", "token", "byte", "sum"]
"""What a *cloze* log-likelihood is divided by: the option's characters, tokens or UTF-8 bytes, or nothing."""

Order = Literal["shuffled", "file"]
"""Which questions `limit` keeps: the first after a shuffle by the seed, or the first of the task's own file (of each of
its subjects), as lm-evaluation-harness does."""

Sampler = Literal["fixed", "first_n", "per_item"]
"""Which worked examples stand before a question: one set drawn by our seed, or those of lm-evaluation-harness's two
samplers."""

Sharing = Literal["branches", "lead", "nothing", "alike", "alone"]
"""How rows are run: a question's as branches of one sequence after what all rows begin with; only that once; nothing
once, padded together; only rows of equal length together; or each by itself. Each asks less of a network than the one
before."""

Apart = Literal["nothing", "questions", "rows"]
"""What shares no token that is run, however much could be shared."""

OptionMass = Literal["last", "all", "none"]
"""Depths at which the options' share of the whole vocabulary's probability is computed."""

Half = Literal["select", "report"]
"""Pruning selects on one half of the questions and reports on the other."""

Score = str
"""The name of a criterion, what a path of pruned models is chosen by (`layercliff.pruning.criterion`)."""

At = Literal["recommended", "before-cliff"]
"""Steps of a path that have a name: the recommended one, and the last before the collapse."""


Positions = Literal["all", "decision"]
"""Where a probe changes the stream: at every position of a prompt, or only at those that are read."""

Control = Literal["random-weights", "shuffled-gold", "wrong-gold", "shuffled-options", "constant", "plain-text"]
"""What a trace is compared with: tasks without a decision to make, and the same task put in another way."""

Lenses = Literal["tuned", "probe"]
"""Readings of a state beside the logit lens: through a map trained for its depth, and by a direction fitted to the
questions."""

TrainingMethod = Literal["lora", "full"]
"""What a recovery trains: small matrices beside every linear layer of the blocks, merged afterwards (Hu et al. 2021),
or every weight."""

Material = Literal["unasked", "select"]
"""What a recovery is trained on: questions that are asked nowhere else, or the half that the path was chosen on."""
