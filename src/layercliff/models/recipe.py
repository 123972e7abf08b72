"""How another tool makes the pruned model from the dense one, or why it cannot."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What to give to `tool`: a file or a command in `text`, with a `note`; or no text and the `reason`."""

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
    """The recipes for a pruning of `base_model` that keeps the blocks `kept` (dense indices)."""

    base_model: str
    kept: tuple[int, ...]
    mergekit: Recipe
    llama_cpp: Recipe

    def __str__(self) -> str:
        return "\n\n".join(f"# {recipe.tool}\n{recipe}" for recipe in (self.mergekit, self.llama_cpp)) + "\n"
