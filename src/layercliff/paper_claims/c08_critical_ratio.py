"""C8, which is about many models and tasks."""

from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import undecided

CLAIM = (
    "C8",
    "The later the transition, the lower the critical ratio.",
    "Over the models and tasks of a study, six models at least, all of the 95 % interval of Spearman's correlation of T/L and k*/L lies below 0, whole models resampled.",
)


def not_run() -> Verdict:
    """What is said of a single model on a single task."""
    return undecided(CLAIM, "One model on one task cannot show a correlation over models and tasks: it needs a study.")
