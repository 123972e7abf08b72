"""What the commands about a model do around a public function: the cache, the licence, progress."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from layercliff.cli.console import progress, quiet_libraries, show_licence, use_cache
from layercliff.output import say


def run(verb: str, spec: Any, extra: dict[str, Any], before: Callable[[], object] = lambda: None) -> Any:
    """Run a public function by its name. What can be said before the model library is imported is said at once."""
    use_cache(extra["cache_dir"])
    from layercliff.models.lookup import resolve

    resolve(spec.model)
    before()
    with progress() as (report, note):
        show_licence(spec.model, note)
        return _public(verb)(replace(spec, report=report, note=note))


def run_quietly(verb: str, spec: Any, extra: dict[str, Any]) -> Any:
    """Run a public function that shows no progress."""
    use_cache(extra["cache_dir"])
    from layercliff.models.lookup import resolve

    resolve(spec.model)
    quiet_libraries()
    return _public(verb)(spec)


def analyse(name: str, spec: Any, extra: dict[str, Any]) -> None:
    """Run an analysis and print what it found."""
    run(name, spec, extra)
    say_analysis(name, Path(spec.out))


def say_analysis(name: str, out: Path) -> None:
    """Print an analysis's sentence, and where the page is."""
    from layercliff.analyses.trace.result import open_run
    from layercliff.report import sections

    if (sentence := sections.sentence(open_run(out), name)) is not None:
        say(sentence)
    say(f"Page: {out / 'report.html'}")


def _public(verb: str) -> Callable[[Any], Any]:
    import layercliff

    found: Callable[[Any], Any] = getattr(layercliff, verb)
    return found
