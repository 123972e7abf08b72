"""Trace where a model decides: option scores at every depth, and what they say."""

from layercliff.analyses.trace import result as results
from layercliff.analyses.trace.result import Traced
from layercliff.analyses.trace.shapes import TraceSettings
from layercliff.analyses.trace.spec import TraceSpec
from layercliff.metrics.analysis import SHUFFLES, analyse
from layercliff.metrics.statistics import RESAMPLES
from layercliff.readout.trace import Trace
from layercliff.run.passes import Pass
from layercliff.run.session import session
from layercliff.run.verb import verb


@verb(TraceSpec)
def trace(spec: TraceSpec) -> Traced:
    """Read the options' scores of every question at every depth, and find where the decision forms.

    `model` is a packaged short name, a directory, a ``.gguf`` file, a hub id, or a loaded network (with its
    `tokenizer`). `task` is a name, several joined by commas, a file of questions, or `Task` objects. `format` is
    ``letter``, ``cloze`` or ``first_token`` (default: each task's own), `shots` the number of worked examples, which
    `sampler` chooses, `limit` cuts each task after a shuffle by `seed`. `dtype` (default float32, or a loaded network's
    own) is what blocks compute in, `weights_dtype` what weights are stored in. `option_mass` says at which depths the
    options' share of the whole vocabulary is computed: it multiplies the whole head.

    With `out`, results are kept in that run directory: an interrupted trace goes on where it stopped, a finished one is
    read. Without `resume`, both are removed first.

    Returns:
        A `Traced`.

    Raises:
        LayercliffError: Model, task or directory that cannot be used.
    """
    wanted = {"option_mass": spec.option_mass}
    with session(spec, results.FOLDER, wanted, results.read, lambda kept: kept.settings.raw()) as this:
        if this.kept is not None:
            return this.kept
        loaded, subject = this.model, this.setting.subject
        reading = Pass(loaded, subject, this.journal, spec.report, spec.note, option_mass=spec.option_mass)
        parts = reading.readings(this.setting.ask(loaded), loaded.batch_tokens(spec.batch_tokens))
        joined = Trace.joined([part.trace(readings) for part, readings in parts])
        cost = {"device": str(loaded.device), **reading.cost(), **this.spent()}
        traced = Traced(subject, joined, analyse(joined, RESAMPLES, spec.seed, SHUFFLES), TraceSettings(**wanted), cost)
        if this.run is not None:
            results.write(this.run, traced)
    return traced
