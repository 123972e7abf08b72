"""What every criterion does and where it comes from, in words."""

from collections.abc import Mapping
from dataclasses import dataclass

from layercliff.choices import Score

SHI = "Shi et al. 2026, arXiv 2605.07271"
KIM = "Shortened LLaMA: Kim et al. 2024, arXiv 2402.02834"


@dataclass(frozen=True)
class Entry:
    """What goes first, in a line, and the citation; `iterative`: every step scores every candidate anew."""

    about: str
    citation: str
    iterative: bool = False


CATALOGUE: Mapping[Score, Entry] = {
    "margin": Entry("iterative: keeps the Decision Margin highest", SHI, iterative=True),
    "accuracy": Entry("iterative: keeps accuracy highest", SHI, iterative=True),
    "option_nll": Entry("iterative: keeps the gold option's log-probability highest", SHI, iterative=True),
    "loss": Entry("iterative: keeps the loss on text lowest", "SLEB: Song et al. 2024, arXiv 2402.09025", iterative=True),
    "tail": Entry("the last block first", "baseline"),
    "head": Entry("the first block first", "baseline"),
    "random": Entry("a seeded random order, many draws", "baseline"),
    "block_influence": Entry("one shot: the block that turns the state least", "ShortGPT: Men et al. 2024, arXiv 2403.03853"),
    "angular": Entry("one shot: the run of blocks across which the decision token turns least", "Gromov et al. 2024, arXiv 2403.17887"),
    "perplexity": Entry("one shot: the loss on text without the block", KIM),
    "perplexity+": Entry("perplexity, the ends protected", KIM),
    "taylor": Entry("one shot: |weight x gradient| of the loss on text", KIM),
    "taylor+": Entry("taylor, the ends protected", KIM),
    "magnitude": Entry("one shot: |weight|", KIM),
    "magnitude+": Entry("magnitude, the ends protected", KIM),
    "laco": Entry("merges: a run of blocks, from the last ones down, as long as the last states stay alike", "LaCo: Yang et al. 2024, arXiv 2402.11187"),
    "mka": Entry("merges: the neighbours whose states share most information", "MKA: Liu et al. 2024, arXiv 2406.16330"),
    "come": Entry("merges: the neighbours that turn the state least, head by head and channel by channel", "CoMe: Wang et al. 2025, arXiv 2510.15304"),
}  # fmt: skip
