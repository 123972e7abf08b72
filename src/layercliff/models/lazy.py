"""A model that is loaded when it is first needed."""

from transformers import PreTrainedModel

from layercliff import faults
from layercliff.errors import LayercliffError
from layercliff.models import loading
from layercliff.models.model import Model
from layercliff.run.spec import AnalysisSpec


class LazyModel:
    """A model by name, loaded at first use and then shared. Failed loading is not tried again."""

    def __init__(self, model: str | Model | PreTrainedModel, how: AnalysisSpec) -> None:
        """`how` says in which dtypes and on which device."""
        self._model, self._how = model, how
        self._refused: LayercliffError | None = None

    def given(self, finished: bool) -> str | Model | PreTrainedModel:
        """What to hand to a verb: the loaded model, or just its name where its results are `finished`."""
        if finished or not isinstance(self._model, str):
            return self._model
        if self._refused is not None:
            raise self._refused
        how = self._how
        try:
            with faults.contained():  # a model that breaks its loader is not tried again either
                self._model = loading.load(
                    self._model, dtype=how.dtype or "float32", weights_dtype=how.weights_dtype, device=how.device,
                    trust_remote_code=how.trust_remote_code, report=how.report,
                )  # fmt: skip
        except LayercliffError as error:
            self._refused = error
            raise
        return self._model
