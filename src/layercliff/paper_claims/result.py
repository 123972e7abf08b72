"""The verdicts on the paper's claims in a run directory: ``claims.json``."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pydantic import Field

from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import Stored
from layercliff.run.strict_json import plain

FILE = "claims.json"

Answer = Literal["supported", "contradicted", "undecided"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)


@dataclass(frozen=True)
class ClaimedNumber:
    """One number that a claim speaks of, with its interval.

    Attributes:
        what: What was measured.
        measured: The number. None where it is not finite.
        low: Lower end of its interval. None where it is not finite.
        high: Upper end.
        claimed: The ends that the number has to lie between. None sets no limit.
        n: Number of questions.
        answer: What the interval says of the claim.
        questions_needed: About how many questions would bring the interval to one side.
    """

    what: str
    measured: float | None
    low: float | None
    high: float | None
    claimed: tuple[float | None, float | None]
    n: int
    answer: Answer
    questions_needed: int | None = None


@dataclass(frozen=True)
class Verdict:
    """A claim of the paper, judged on one model and task.

    Attributes:
        id: C1, C2, ...
        statement: The claim, in a sentence.
        rule: How it is judged.
        verdict: The answer.
        parts: What was measured. All must hold; of C6 one, where none fails.
        control: What the same measurement gives where the claim should not show.
        reason: Why nothing is decided, or what decided it, in words.
    """

    id: str
    statement: str
    rule: str
    verdict: Answer
    parts: tuple[ClaimedNumber, ...] = ()
    control: str = ""
    reason: str = ""

    @property
    def deciding(self) -> ClaimedNumber | None:
        """The part that the verdict rests on: the first with the same answer, else the first."""
        return next((part for part in self.parts if part.answer == self.verdict), next(iter(self.parts), None))

    def as_dict(self) -> dict[str, Any]:
        """For files; numbers that are not finite become null."""
        part = self.deciding
        shown = {
            name: getattr(part, name) if part else None for name in ("measured", "low", "high", "n", "questions_needed")
        }
        found: dict[str, Any] = plain(
            {
                "id": self.id,
                "statement": self.statement,
                "what": part.what if part else None,
                **shown,
                "control": self.control,
                "rule": self.rule,
                "verdict": self.verdict,
                "reason": self.reason,
                "parts": [asdict(p) for p in self.parts],
            }
        )
        return found


class ClaimsSummary(Stored):
    about: str
    family: str
    claims: list[Verdict] = Field(min_length=1)


@dataclass(frozen=True)
class Claimed:
    """All verdicts on the paper's claims.

    Attributes:
        about: Model, tasks and n, in a line.
        family: How errors are kept in check over all claims.
        verdicts: One per claim.
    """

    about: str
    family: str
    verdicts: tuple[Verdict, ...]

    def __getitem__(self, claim: str) -> Verdict:
        """The verdict on a claim, by its id."""
        return next(verdict for verdict in self.verdicts if verdict.id == claim)


def write(run: RunDirectory, found: Claimed) -> None:
    """Write ``claims.json``."""
    verdicts = [verdict.as_dict() for verdict in found.verdicts]
    run.write_json(FILE, {"about": found.about, "family": found.family, "claims": verdicts})


def read(run: RunDirectory) -> Claimed | None:
    """The verdicts, or None where none were made."""
    content = run.read_json(FILE, ClaimsSummary, "layercliff claims")
    if content is None:
        return None
    return Claimed(content.about, content.family, tuple(content.claims))
