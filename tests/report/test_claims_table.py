"""The table of verdicts in words."""

import numpy as np
import pytest

from layercliff.paper_claims import table as claims_table
from layercliff.paper_claims.intervals import Interval
from layercliff.paper_claims.result import Claimed, Verdict
from layercliff.paper_claims.rule import Claim, judge, part, undecided
from layercliff.run import stored_files


def test_rows_and_summary() -> None:
    held = judge(
        Claim("C1", "It is so.", "The rule."),
        [part("a share", Interval(0.7, 0.6, 0.8), (0.5, np.inf), 1200)],
        "the control",
    )
    open_one = judge(
        Claim("C4", "Steps.", "The rule."),
        [part("steps", Interval(np.nan, -np.inf, np.inf, False), (-1.5, 1.5), 90)],
        "",
    )
    found = Claimed("a model", "5 %", (held, open_one, undecided(Claim("C8", "Many.", "Rule."), "It needs a study.")))
    rows = claims_table.rows(found)
    assert [(row.id, row.verdict) for row in rows] == [("C1", "supported"), ("C4", "undecided"), ("C8", "undecided")]
    assert rows[0].measured == (("a share", "+0.700 [+0.600, +0.800], claimed > 0.5, n = 1,200"),)
    assert rows[1].measured == (("steps", "beyond the path [-∞, ∞], claimed -1.5 to 1.5, n = 90"),)
    assert (rows[2].measured, rows[2].reason) == ((), "It needs a study.")
    assert claims_table.summary(found) == "Supported: C1. Contradicted: none. Undecided: C4, C8."


@pytest.mark.parametrize(
    ("what", "found", "claimed", "said"),
    [
        ("steps", (-8.0, -np.inf, 2.0), (-1.5, 1.5), "-8.000 [-∞, +2.000], claimed -1.5 to 1.5"),
        ("steps", (2.0, 0.0, np.inf), (-1.5, 1.5), "+2.000 [+0.000, ∞], claimed -1.5 to 1.5"),
        ("steps", (np.inf, np.inf, np.inf), (-1.5, 1.5), "beyond the path [∞, ∞], claimed -1.5 to 1.5"),
        ("a share", (0.75, -np.inf, np.inf), (0.5, np.inf), "+0.750 [-∞, ∞], claimed > 0.5"),
        ("a share", (np.nan, -np.inf, np.inf), (-np.inf, 0.5), "no number [-∞, ∞], claimed < 0.5"),
    ],
)
def test_an_interval_without_an_end_says_on_which_side(
    what: str, found: tuple[float, float, float], claimed: tuple[float, float], said: str
) -> None:
    made = Verdict("C0", "", "", "undecided", (part(what, Interval(*found), claimed, 90),))
    (kept,) = stored_files.shaped(made.as_dict(), Verdict).parts
    assert claims_table.numbers(kept) == said
