"""Labels of a study's points."""

from hypothesis import given
from hypothesis import strategies as st

from layercliff.studies.figures import LABEL, _apart

PLACES = st.lists(st.tuples(st.floats(0, 1.12), st.floats(0, 1)), max_size=12)


@given(PLACES)
def test_no_label_covers_another(places: list[tuple[float, float]]) -> None:
    across, up = [x for x, _ in places], [y for _, y in places]
    written = _apart(across, up)
    for i, (x, y) in enumerate(zip(across, written, strict=True)):
        for other, high in zip(across[:i], written[:i], strict=True):
            assert abs(x - other) >= LABEL[0] or abs(y - high) >= 0.9 * LABEL[1]


def test_a_label_alone_stands_at_its_point() -> None:
    assert _apart([0.1, 0.5, 0.5], [0.3, 0.9, 0.9]) == [0.3, 0.9, 0.9 - LABEL[1]]
