"""Which answers win at which depth, of one model or of several beside each other: stacked, as a distance from the gold
answers, and as radar plots."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import polars as pl
from jaxtyping import Float

from layercliff.analyses.trace.tables import bias_columns
from layercliff.metrics.analysis import Analysis
from layercliff.metrics.frequency import RARE, OptionFrequency
from layercliff.report import words
from layercliff.report.chart import BLUE, GREEN, HEAVY, INK, ORANGE, PALETTE, PURPLE, Chart, Figure
from layercliff.report.depth_chart import counted, depth_axis, legend, numbers, placed, reading, where, written_by
from layercliff.report.radar import SHARE, Line, Radar, radars

SHOWN = 8  # answers; the others are drawn together
SHORT = 6  # letters: longer answers are numbered where radar plots stand beside each other
DEPTHS = {"depth 0": INK, "T - 1": ORANGE, "T": GREEN, "last depth": BLUE}
GOLD = "gold answers"
NO_PREFERENCE = (
    f"Dashed: a model of the same accuracy without any preference; {words.PERCENT} of such models lie in the band. "
    "What lies above it is a preference. Sizes are not to be compared across numbers of questions."
)


@dataclass(frozen=True)
class Answering:
    """A model with what it answers; `places[l]` is its depth l in the dense model."""

    name: str
    analysis: Analysis
    places: tuple[int, ...]

    @property
    def frequency(self) -> OptionFrequency:
        assert self.analysis.frequency is not None
        return self.analysis.frequency


def figures(name: str, found: Sequence[Answering], caption: str) -> Iterator[Figure]:
    """The figures of models that answered the same questions; nothing for several tasks together, whose answers are
    not of one kind."""
    if any(one.analysis.frequency is None for one in found):
        return
    of, n = found[0].frequency, found[0].analysis.n_questions
    names, shown = _shares(found)
    several = f": {', '.join(one.name for one in found)}" if len(found) > 1 else ""
    answers = f"the {len(shown)} that win most at any depth of {len(of.labels)}" if len(names) > len(shown) else "all"
    counted = "" if of.n_counted == n else f" {of.n_counted} questions of the usual number of options are counted."
    beside = f"{several} side by side, at depths of the dense model" if several else ""
    text = (
        f"Share of questions each answer wins ({answers}){beside}; the last bar is the gold "
        f"answers.{counted} {caption}."
    )
    yield Figure(f"{name}-frequency", f"Option frequency{several}", text, _stacked(found))
    what = "KL divergence" if several else "Divergence"
    text = (
        f"{what} of the option frequency from the gold answers{several}, 1/2 added to every "
        f"count. {NO_PREFERENCE}{counted} {caption}."
    )
    yield Figure(f"{name}-divergence", f"Prediction bias{several}", text, _divergence(found))
    spokes = _most(found, without=RARE)
    if len(spokes) > 2:
        own = " Each model has its own T, in its own depths; an undecided one has none." if several else ""
        some = "all" if len(spokes) == len(of.labels) else f"{len(spokes)} of {len(of.labels)}"
        text = (
            f"Share of questions each answer wins ({some}) before the first block, on both sides "
            "of the transition and at the last depth; dashed: the gold "
            f"answers.{own}{_key(found)}{counted} {caption}."
        )
        yield Figure(f"{name}-radar", f"Answers around the transition{several}", text, _radar(found))


def _most(found: Sequence[Answering], without: str = "") -> list[int]:
    """The answers that win most at any depth, in their order where these are all."""
    of = found[0].frequency
    most = np.max([one.frequency.share.max(0) for one in found], 0)
    order = sorted((c for c, label in enumerate(of.labels) if label != without), key=lambda c: -most[c])
    return sorted(order) if len(order) <= SHOWN else order[:SHOWN]


def _shares(found: Sequence[Answering]) -> tuple[list[str], list[int]]:
    """The answers that are drawn, by their numbers, with their names; a last name stands for all others where there
    are any."""
    of, shown = found[0].frequency, _most(found)
    names = [of.labels[c] for c in shown]
    return (names if len(names) == len(of.labels) else [*names, f"other ({len(of.labels) - len(names)})"]), shown


def _spokes(found: Sequence[Answering]) -> tuple[list[str], list[str]]:
    """The answers of radar plots, and what stands at their spokes: their numbers, where they would run into each
    other."""
    names = [found[0].frequency.labels[c] for c in _most(found, without=RARE)]
    short = len(found) == 1 or max(map(len, names)) <= SHORT
    return names, names if short else [str(number) for number in range(1, len(names) + 1)]


def _key(found: Sequence[Answering]) -> str:
    """Which number stands for which answer, or nothing."""
    names, labels = _spokes(found)
    return "" if labels == names else f" {', '.join(map(': '.join, zip(labels, names, strict=True)))}."


def _of(shares: Float[np.ndarray, " category"], shown: Sequence[int], n_names: int) -> list[float]:
    """Shares of the answers that are drawn, and of all others."""
    own = [float(shares[c]) for c in shown]
    return own if n_names == len(own) else [*own, max(0.0, float(shares.sum()) - sum(own))]


def _wins(found: Sequence[Answering]) -> tuple[pl.DataFrame, list[str]]:
    """A row per bar and answer: its share, and how often it was offered; and the bars in their order, with gaps."""
    names, shown = _shares(found)
    rows: list[tuple[object, ...]] = []
    domain: list[str] = []
    for number, one in enumerate(found):
        of = one.frequency
        for depth, place in enumerate(one.places):
            column = f"{number}·{place}"
            domain.append(column)
            ends = [[*(float(end[depth, c]) for c in shown), None][: len(names)] for end in (of.low, of.high)]
            offered = [*(float(of.offered[c]) for c in shown), None][: len(names)]
            shares = _of(of.share[depth], shown, len(names))
            (by,) = written_by([place])
            rows += [
                (column, one.name, str(place), by, of.n_counted, *entry, order)
                for order, entry in enumerate(zip(names, shares, *ends, offered, strict=True))
            ]
        domain.append(f"gap{number}·")
    of = found[0].frequency
    rows += [
        ("gold·gold", GOLD, "", "", of.n_counted, answer, share, None, None, None, order)
        for order, (answer, share) in enumerate(zip(names, _of(of.gold, shown, len(names)), strict=True))
    ]
    columns = ["column", "model", "depth", "written by", "n", "answer", *SHARE, "offered", "order"]
    return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None), [*domain, "gold·gold"]


def _stacked(found: Sequence[Answering]) -> Chart:
    (table, domain), names = _wins(found), _shares(found)[0]
    x = alt.X(
        "column:N",
        sort=domain,
        title="depth (blocks passed)" if len(found) == 1 else "depth in the dense model",
        axis=alt.Axis(labelAngle=0, labelExpr="split(datum.label, '·')[1]", labelOverlap=True, ticks=False),
        scale=alt.Scale(domain=domain, paddingInner=0.08),
    )
    bars = (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=x,
            y=alt.Y("share:Q", title="share of questions won", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("answer:N", sort=names, scale=alt.Scale(domain=names, range=PALETTE), title=None),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("model:N"),
                alt.Tooltip("depth:N"),
                alt.Tooltip("written by:N"),
                alt.Tooltip("answer:N"),
                counted(),
                *reading("share", "share", ".3f"),
                *numbers(["offered"], ".3f"),
            ],
        )
    )
    if len(found) == 1:
        return bars
    heads = pl.DataFrame({"column": [f"{number}·0" for number in range(len(found))], "name": [m.name for m in found]})
    text = alt.Chart(heads).mark_text(align="left", fontWeight="bold", fontSize=12, color=INK)
    return alt.layer(bars, text.encode(x=x, y=alt.value(-8), text=alt.Text("name:N")))


def _divergence(found: Sequence[Answering]) -> Chart:
    if len(found) == 1:
        of, places = found[0].frequency, found[0].places
        curves = {"KL(OF || gold)": (of.kl, places, of.n_counted), "JS": (of.js, places, of.n_counted)}
        colours = dict(zip(curves, (PURPLE, GREEN), strict=True))
    else:
        curves = {one.name: (one.frequency.kl, one.places, one.frequency.n_counted) for one in found}
        colours = dict(zip(curves, (BLUE, GREEN, HEAVY), strict=False))
    table = pl.concat(
        [
            pl.DataFrame({"curve": name, "depth": places, "n": n, **bias_columns({"divergence": bias})})
            for name, (bias, places, n) in curves.items()
        ]
    )
    x = depth_axis(found[0].places[-1], "depth (blocks passed)" if len(found) == 1 else "depth in the dense model")
    colour = alt.Color(
        "curve:N",
        title=None,
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=legend(),
    )
    return bias_lines(alt.Chart(placed(table)).encode(x=x, color=colour), [alt.Tooltip("curve:N"), *where(), counted()])


def bias_lines(base: alt.Chart, hover: Sequence[alt.Tooltip]) -> Chart:
    """Lines of a prediction bias, the columns ``divergence`` (`bias_columns`), above those without preference.

    On hover a point says what `hover` adds, the divergence, the reference with its band, the excess and p.
    """
    title = "divergence (nats)"
    y = alt.Y("divergence:Q", title=title, scale=alt.Scale(zero=True))
    mean = alt.Y("divergence_reference:Q", title=title)
    band = base.mark_area(opacity=0.18).encode(
        y=alt.Y("divergence_reference_low:Q", title=title), y2=alt.Y2("divergence_reference_high:Q")
    )
    told = [
        *hover,
        *numbers(["divergence"], ".3f"),
        *reading("divergence_reference", "without preference", ".3f"),
        alt.Tooltip("divergence_excess:Q", title="excess", format="+.3f"),
        alt.Tooltip("divergence_p:Q", title="p", format=".3f"),
    ]
    return alt.layer(
        band,
        base.mark_line(strokeWidth=1.2, strokeDash=[4, 3]).encode(y=mean),
        base.mark_line(strokeWidth=2).encode(y=y),
        base.mark_point(filled=True, size=42, opacity=1).encode(y=y, tooltip=told),
    )


def _radar(found: Sequence[Answering]) -> Chart:
    """A plot per model, a line per depth."""
    names, labels = _spokes(found)
    spokes = _most(found, without=RARE)
    plots: list[Radar] = []
    for one in found:
        of, T = one.frequency, one.analysis.transition.depth
        lines = {
            line: Line(
                of.share[depth, spokes].tolist(),
                of.low[depth, spokes].tolist(),
                of.high[depth, spokes].tolist(),
                one.places[depth],
            )
            for line, depth in _depths(one.analysis).items()
        }
        title = f"{one.name} ({'undecided' if T is None else f'T = {T}'})"
        plots.append(Radar(title, of.n_counted, lines | {GOLD: Line(of.gold[spokes].tolist())}))
    return radars(plots, names, labels, DEPTHS | {GOLD: HEAVY}, dashed=GOLD)


def _depths(analysis: Analysis) -> dict[str, int]:
    """The depths that are drawn, by name."""
    T, last = analysis.transition.depth, analysis.n_layers
    around = {} if T is None else ({"T - 1": T - 1} if T else {}) | {"T": T}
    return {"depth 0": 0} | around | {"last depth": last}
