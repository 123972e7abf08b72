"""The held-out text."""

from layercliff.tasks import prose


def test_a_dozen_paragraphs_of_like_length() -> None:
    assert len(prose.PARAGRAPHS) == len(set(prose.PARAGRAPHS)) == 12
    for paragraph in prose.PARAGRAPHS:
        assert 60 <= len(paragraph.split()) <= 90
        assert paragraph == " ".join(paragraph.split())
    assert len(set(prose.OPENINGS)) == 4
