"""The ablate verb on tiny models: against the model without the blocks, halves, files, refusals."""

from pathlib import Path

import families
import numpy as np
import polars as pl
import pytest

import layercliff
from layercliff.analyses.ablate import figures as ablate_figures
from layercliff.analyses.ablate.result import manners
from layercliff.analyses.ablate.run import skip_blocks
from layercliff.analyses.ablate.spec import AblateSpec
from layercliff.errors import TaskError
from layercliff.interventions.ablated_blocks import ablated_blocks
from layercliff.metrics import decision
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.tasks.question import Task

L = families.N_LAYERS


@pytest.mark.parametrize("form", ["first_token", "cloze"])
def test_skipped_blocks_against_the_model_without_them(colours: Task, form: str) -> None:
    network = families.network("gemma3")
    found = layercliff.ablate(network, colours, tokenizer=families.tokenizer(), format=form)  # type: ignore[arg-type]
    assert set(found.trace.half_of) == {"report"}
    for number, removal in enumerate(ablated_blocks(L)):
        if removal.how == "skip" and removal.first in (0, 2, 3):
            other = families.network("gemma3")
            cut(other, [b for b in range(L) if b not in removal.blocks])
            whole = layercliff.trace(other, colours, tokenizer=families.tokenizer(), format=form).trace
            report = [half == "report" for half in whole.half_of]
            np.testing.assert_allclose(found.scores[number], whole.scores[-1][report], rtol=1e-3, atol=1e-4)


def test_table_and_files(tiny: Model, colours: Task, tmp_path: Path) -> None:
    found = layercliff.ablate(tiny, colours, out=tmp_path / "run")
    table = pl.read_parquet(tmp_path / "run" / "ablate" / "ablate.parquet")
    assert table.height == 2 * (L + L - 1)
    assert found.settings.n_select + len(found.trace.questions) == 12
    row = table.row(by_predicate=(pl.col("how") == "mean") & (pl.col("blocks") == "1-2"), named=True)
    number = [(r.how, r.blocks) for r in ablated_blocks(L)].index(("mean", (1, 2)))
    probabilities = decision.probabilities(found.scores[[number]], found.trace.mask)
    margin = decision.margin(probabilities, found.trace.mask, found.trace.gold)
    assert row["margin"] == pytest.approx(margin.mean())
    assert row["margin_change"] == pytest.approx(margin.mean() - found.analyses["colours"].margin.point[-1])
    again = layercliff.ablate(tiny, colours, out=tmp_path / "run")
    np.testing.assert_array_equal(again.scores, found.scores)
    names = {path.stem for path in layercliff.figures(tmp_path / "run", ("svg",))}
    assert names == {"ablate-margin", "ablate-accuracy", "ablate-pairs-margin"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The block that costs most is" in page
    assert f"n = {len(found.trace.questions)} (report half)" in page


def test_blocks_only_skipped(tiny: Model, colours: Task, tmp_path: Path) -> None:
    """As `claims` needs them; the verb itself then replaces them as well."""
    skipped = skip_blocks(AblateSpec(tiny, colours, out=tmp_path / "run"))
    assert skip_blocks(AblateSpec(tiny, colours, out=tmp_path / "run")).scores.shape == skipped.scores.shape
    (figure, *_), said = ablate_figures.figures(skipped), ablate_figures.sentence(skipped)
    assert said.startswith("The block that costs most is")
    assert "mean" not in said
    assert "replaced by" not in figure.caption
    both = layercliff.ablate(tiny, colours, out=tmp_path / "run")
    assert len(both.scores) == 2 * len(skipped.scores)
    report = [half == "report" for half in skipped.trace.half_of]  # nothing is chosen for skipping
    assert 0 < sum(report) < len(report)
    np.testing.assert_allclose(both.scores[: len(skipped.scores)], skipped.scores[:, report], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("begun", ["skip_blocks", "ablate"])
def test_goes_on_as_it_was_begun(begun: str, tiny: Model, colours: Task, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def stop(what: str, done: int, _: int) -> None:
        if what == "blocks and pairs taken out" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        if begun == "ablate":
            layercliff.ablate(tiny, colours, out=out, report=stop)
        else:
            skip_blocks(AblateSpec(tiny, colours, out=out, report=stop))
    found = skip_blocks(AblateSpec(tiny, colours, out=out))
    assert manners(found) == (("skip", "mean") if begun == "ablate" else ("skip",))


def test_one_group_cannot_be_halved(tiny: Model, colours: Task) -> None:
    with pytest.raises(TaskError, match="too few questions"):
        layercliff.ablate(tiny, colours, limit=1)
