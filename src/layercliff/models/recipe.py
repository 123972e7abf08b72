"""How another tool makes the pruned model from the dense one, or why it cannot."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What to give to another tool.

    Attributes:
        tool: Its name.
        text: A file or a command. None where there is no way.
        reason: Why there is none.
        note: What else to know.
    """

    tool: str
    text: str | None
    reason: str | None = None
    note: str | None = None

    def __str__(self) -> str:
        if self.text is None:
            return f"No recipe for {self.tool}: {self.reason}"
        return self.text.rstrip("\n") + (f"\n# {self.note}" if self.note else "")


@dataclass(frozen=True)
class Recipes:
    """How other tools prune the dense model.

    Attributes:
        base_model: What they call it.
        kept: Dense indices of the blocks that stay.
        mergekit: A configuration.
        llama_cpp: A command.
    """

    base_model: str
    kept: tuple[int, ...]
    mergekit: Recipe
    llama_cpp: Recipe

    def __str__(self) -> str:
        return "\n\n".join(f"# {recipe.tool}\n{recipe}" for recipe in (self.mergekit, self.llama_cpp)) + "\n"
