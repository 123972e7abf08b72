"""C8: does a later transition go with a lower critical ratio? A study judges it, over many models and tasks."""

from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.registry import judges
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, undecided

CLAIM = Claim(
    "C8",
    "The later the transition, the lower the critical ratio.",
    "Over the models and tasks of a study, six models at least, all of the 95 % interval of Spearman's correlation of "
    "T/L and k*/L lies below 0, whole models resampled.",
)


@judges(CLAIM)
def verdict(_: Evidence) -> Verdict:
    """A single model on a single task decides nothing."""
    return undecided(CLAIM, "One model on one task cannot show a correlation over models and tasks: it needs a study.")
