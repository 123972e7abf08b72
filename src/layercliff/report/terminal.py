"""Results in the terminal: short tables and the sentence."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Column, Table

from layercliff.rich_console import PlainConsole

if TYPE_CHECKING:
    from layercliff.analyses.trace.result import Traced
    from layercliff.evaluation.result import Evaluated
    from layercliff.exporting.run import Exported
    from layercliff.metrics.analysis import Analysis
    from layercliff.paper_claims.result import Claimed
    from layercliff.planning.run import Plan
    from layercliff.pruning.result import Pruned

BAR = 24  # characters of a margin bar, from -1 to +1


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Print a table on standard output; the first column is never cut."""
    found = Table(
        Column(headings[0], no_wrap=True),
        *headings[1:],
        title=title,
        title_justify="left",
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for row in rows:
        found.add_row(*row)
    PlainConsole().print(found)


def show(traced: "Traced", out: Path) -> None:
    """The depths of the main analysis, a line per task, notices, and the sentence."""
    from layercliff.report import words

    main = traced.main
    console = PlainConsole()
    table(("depth", "decision margin", "", "accuracy", ""), _depth_rows(main), title=traced.caption(main.name))
    console.print()
    rows = [
        (
            n,
            str(a.n_questions),
            f"{a.chance:.2f}",
            words.interval(a, "accuracy"),
            words.interval(a, "margin"),
            _depth(a),
        )
        for n, a in traced.analyses.items()
    ]
    table(("task", "n", "chance", "accuracy", "margin", "T"), rows)
    for notice in words.notices(traced):
        console.print(f"Note: {notice}")
    console.print()
    for name, analysis in traced.analyses.items():
        prefix = f"{name}: " if len(traced.analyses) > 1 else ""
        console.print(prefix + words.verdict(analysis), style="bold")
        for sentence in _sentences(analysis):
            if sentence:
                console.print(sentence)
    console.print(
        (
            f"{traced.cost['seconds']} s, {traced.cost['peak_memory_bytes'] / 1e9:.2f} GB at "
            f"most. Page: {out / 'report.html'}"
        ),
        soft_wrap=True,
    )


def _sentences(analysis: "Analysis") -> tuple[str | None, ...]:
    from layercliff.report import words

    said = (
        words.phases, words.boundaries, words.jump, words.normalised, words.option_mass, words.prediction_bias,
    )  # fmt: skip
    return tuple(say(analysis) for say in said)


def _depth(analysis: "Analysis") -> str:
    from layercliff.report import words

    depth = analysis.transition.depth
    return "undecided" if depth is None else f"{depth} [{words.depth_interval(analysis)}]"


def _depth_rows(analysis: "Analysis") -> list[tuple[str, ...]]:
    from layercliff.report import words

    rows: list[tuple[str, ...]] = []
    for depth in range(analysis.n_layers + 1):
        value = analysis.margin.point[depth]
        middle, end = BAR // 2, round((value + 1) / 2 * BAR)
        bar = "".join(
            "█" if min(middle, end) <= i < max(middle, end) else "│" if i == middle else " " for i in range(BAR)
        )
        mark = "◄ T" if depth == analysis.transition.depth else ""
        rows.append(
            (
                str(depth),
                words.interval(analysis, "margin", depth),
                bar,
                words.interval(analysis, "accuracy", depth),
                mark,
            )
        )
    return rows


def show_path(pruned: "Pruned", out: Path) -> None:
    """A path's steps, its cliff and the recommendation."""
    from layercliff.report import words

    console = PlainConsole()
    rows = []
    for k, step in enumerate(pruned.steps):
        main = pruned.main(k)
        loss = (
            f"{100 * pruned.harmless[k - 1].loss:+.1f} (at most {100 * pruned.harmless[k - 1].upper:+.1f})" if k else ""
        )
        shown = "shown" if k and pruned.harmless[k - 1].shown else ""
        rows.append(
            (
                str(k),
                ", ".join(map(str, step.removed)),
                words.interval(main, "accuracy"),
                words.interval(main, "margin"),
                loss,
                shown,
            )
        )
    table(("step", "removed", "accuracy", "decision margin", "points lost", "harmless"), rows, title=pruned.caption())
    console.print()
    console.print(words.recommendation(pruned), style="bold")
    console.print(f"On this path, {words.cliff(pruned)}")
    if few := words.few_questions(pruned.main(0)):
        console.print(f"Note: reported on {few}")
    about = words.assessment(pruned.assessment) if pruned.assessment else ()
    for sentence in (words.along(pruned), words.stability(pruned), words.race(pruned), *about):
        if sentence:
            console.print(sentence)
    console.print(f"{pruned.cost['seconds']} s. Page: {out / 'report.html'}", soft_wrap=True)


def show_comparison(found: "Sequence[Pruned]", out: Path) -> None:
    """A line per criterion at the most blocks that all of them removed, and what choosing cost."""
    from layercliff.comparison import result as compared
    from layercliff.report import words

    most = min(path.gone(len(path.steps) - 1) for path in found)
    rows = []
    for line, path in zip(compared.summary_table(found).to_dicts(), found, strict=True):
        at = max(k for k in range(len(path.steps)) if path.gone(k) <= most)
        cliff = f"> {line['removed_at_most']}" if line["collapse"] is None else str(line["collapse"])
        shown = "shown" if line["shown"] else "not shown" if line["recommended"] else ""
        rows.append(
            (
                path.criterion_name,
                words.interval(path.main(at), "accuracy"),
                cliff,
                "" if line["first_crossing"] is None else str(line["first_crossing"]),
                "" if line["retained"] is None else f"{line['retained']:.0%}",
                str(line["recommended"]),
                shown,
                f"{line['block_passes']:,}",
                f"{line['seconds']:.1f}",
            )
        )
    headings = (
        "criterion",
        f"accuracy, {most} removed",
        "cliff",
        "first below",
        "retained",
        "can go",
        "harmless",
        "passes",
        "s",
    )
    table(headings, rows, title=found[0].caption())
    PlainConsole().print(f"Page: {out / 'report.html'}", soft_wrap=True)


def show_claims(found: "Claimed", out: Path) -> None:
    """A line per claim, then what each rests on."""
    from layercliff.paper_claims import table as claims_table

    console, rows = PlainConsole(), claims_table.rows(found)
    table(("claim", "", "verdict"), [(row.id, row.statement, row.verdict) for row in rows], title=found.about)
    console.print()
    for row in rows:
        parts = [*(f"{what}: {numbers}" for what, numbers in row.measured), row.reason, row.control]
        console.print(f"{row.id} {row.verdict}: {' | '.join(part for part in parts if part)}")
    console.print(f"{claims_table.summary(found)} {found.family}")
    console.print(f"Page: {out / 'report.html'}", soft_wrap=True)


def show_export(exported: "Exported") -> None:
    """What was written, whether it is shown to do no harm, and what was proven of it."""
    from layercliff.report import words

    console = PlainConsole()
    console.print(
        f"Exported step {exported.step} to {exported.directory}: {len(exported.kept)} blocks.",
        style="bold",
        soft_wrap=True,
    )
    for sentence in (
        exported.shown,
        words.proof(exported),
    ):
        console.print(sentence)


def show_plan(plan: "Plan") -> None:
    """A plan, line by line."""
    about = " (guessed from characters: the tokenizer is not here yet)" if plan.tokens_estimated else ""
    rows = [
        ("model", f"{plan.model}: {plan.n_layers} blocks, {plan.parameters / 1e6:,.0f} M parameters"),
        ("download", f"{plan.download_bytes / 1e6:,.0f} MB" if plan.download_bytes else "none"),
        ("questions", f"{plan.questions:,} in {plan.rows:,} rows"),
        ("tokens", f"{plan.tokens:,}, padded to {plan.padded_tokens:,}{about}"),
        ("block passes", f"{plan.block_passes:,} ({plan.n_batches:,} batches)"),
        ("head rows", f"{plan.head_rows:,}"),
        ("multiplications", f"{plan.multiplications / 1e12:,.2f} T"),
        (
            "memory",
            (
                f"about {(plan.weights_bytes + plan.activations_bytes) / 1e9:,.1f} GB, "
                f"{plan.weights_bytes / 1e9:,.1f} of it weights"
            ),
        ),
        (
            "time",
            (
                f"about {duration(plan.seconds)} of reading on {plan.device} at "
                f"{plan.gflops:,.0f} GFLOP/s, and the time to load"
            ),
        ),
        (
            f"a path, {plan.path.removed} removed",
            f"at most {plan.path.selection_block_passes:,} block passes to choose and "
            f"{plan.path.report_block_passes:,} to measure, "
            f"{plan.path.multiplications / 1e12:,.2f} T multiplications, {duration(plan.path_seconds)}",
        ),
    ]
    table(("", ""), rows)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, in round numbers."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_evaluation(evaluated: "Evaluated", out: Path) -> None:
    """A row per task: each accuracy with its clustered standard error and interval."""
    from layercliff.metrics.accuracy import METRICS

    rows = []
    for name, scores in evaluated.scores.items():
        shown = [f"{s.value:.4f} ± {s.stderr_clustered:.4f} [{s.low:.3f}, {s.high:.3f}]" for s in scores.values()]
        rows.append((name, str(evaluated.options.filter(task=name)["question"].n_unique()), *shown))
    table(("task", "n", *METRICS), rows, title=f"{evaluated.subject.model} · {evaluated.subject.dtype}")
    if len(evaluated.depths) > 1:
        layers = {depth: evaluated.at(depth).scores for depth in evaluated.depths}
        by_depth = [
            (name, str(depth), *(f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in layers[depth][name].values()))
            for name in evaluated.scores
            for depth in evaluated.depths
        ]
        table(("task", "depth", *METRICS), by_depth, title="through the logit lens")
    for name, about in evaluated.about.items():
        if gone := len(about.left_out) + len(about.skipped):
            PlainConsole().print(f"Note: {gone} questions of {name} were left out (see summary.json).")
    cost = evaluated.cost
    PlainConsole().print(
        (
            f"± standard error over groups, [95 % interval]. {cost['seconds']} s, "
            f"{cost['peak_memory_bytes'] / 1e9:.2f} GB at most. Options: "
            f"{out / 'evaluate' / 'options.parquet'}"
        ),
        soft_wrap=True,
    )


def show_against(evaluated: "Evaluated", other: "Evaluated") -> None:
    """A row per task and metric: what this model gains or loses on the same questions."""
    rows = [
        (
            name,
            metric,
            f"{p.difference:+.4f} [{p.low:+.4f}, {p.high:+.4f}]",
            str(p.won),
            str(p.lost),
            f"{p.p:.2g} ({p.test})",
        )
        for name, metrics in evaluated.against(other).items()
        for metric, p in metrics.items()
    ]
    PlainConsole().print()
    headings = ("task", "metric", "difference [95 %]", "only this one right", "only the other", "p")
    table(headings, rows, title=f"{evaluated.subject.model} minus {other.subject.model}")
