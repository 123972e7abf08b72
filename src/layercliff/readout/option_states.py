"""The states that a linear probe is given."""

import numpy as np
from jaxtyping import Float

from layercliff.models.model import Model
from layercliff.progress import Report, silent
from layercliff.readout.encode import TokenRow, encode
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.gather import gather_states
from layercliff.readout.tokens import vocabulary


def option_states(
    model: Model, part: EncodedTask, batch_tokens: int, report: Report = silent
) -> Float[np.ndarray, "depth question _ d"]:
    """The states for a linear probe.

    In *letter*, one state per question: that of the last prompt token, which has seen all options. Otherwise one per
    option: that of the last token of prompt and option together.

    Args:
        model: The model.
        part: The task as token rows.
        batch_tokens: Tokens of a batch at most.
        report: Is told of progress.

    Returns:
        [depth question option d], in *letter* [depth question 1 d]. 0 where an option is absent.
    """
    rows = part.rows
    if part.form != "letter":
        found = encode(part.prompts, "cloze", model.tokenizer, model.max_positions, vocabulary(model.network)).rows
        rows = tuple(TokenRow(row.question, row.option, (*row.tokens, row.targets[-1]), row.targets) for row in found)
    states = gather_states(model, rows, [[len(row.tokens) - 1] for row in rows], batch_tokens, report)
    width = 1 if part.form == "letter" else part.width
    out = np.zeros((len(states), len(part.questions), width, states.shape[-1]), np.float32)
    out[:, [row.question for row in rows], [row.option or 0 for row in rows]] = states
    return out
