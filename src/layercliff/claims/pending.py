"""C7 and C8: claims that this command does not measure by itself."""

from layercliff.claims.verdict import undecided
from layercliff.results.claimed import Verdict

RECOVERY = (
    "C7",
    "Fine-tuning cannot restore a collapsed model.",
    "After the same fine-tuning as the dense model gets, steps beyond the collapse stay undecided while one before it is decided.",
)
STUDY = (
    "C8",
    "The later the transition, the lower the critical ratio.",
    "Over models and tasks, the correlation of T/L and k*/L lies below 0, its interval clustered by model.",
)


def recovery() -> Verdict:
    """C7, which trains. What a run of fine-tuning left in the directory is to be judged here."""
    return undecided(RECOVERY, "Not run, since it trains the model: add --recover.")


def study() -> Verdict:
    """C8, which is about many models."""
    return undecided(STUDY, "One model on one task cannot show a correlation over models and tasks: it needs a study.")
