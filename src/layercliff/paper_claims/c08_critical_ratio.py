"""C8: does a later transition go with a lower critical ratio? A study judges it, over many models and tasks."""

from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.registry import judges
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, undecided

CLAIM = Claim(
    "C8",
    "The later the transition, the lower the critical ratio.",
    "Over at least six models of a study, the mean within-task Spearman correlation of T/L and k*/L lies below 0: it "
    "is as low in at most 2.5 % of the orders in which whole models exchange their k*/L.",
)


@judges(CLAIM)
def verdict(_: Evidence) -> Verdict:
    """A single model on a single task decides nothing."""
    return undecided(CLAIM, "One model on one task cannot show a correlation over models and tasks: it needs a study.")
