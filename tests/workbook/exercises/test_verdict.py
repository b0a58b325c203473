from __future__ import annotations

from kst_workbook.exercises.verdict import Note, Verdict


def test_a_verdict_is_text_and_page() -> None:
    """Both say the number, the outcome, the message, the notes and the link."""
    verdict = Verdict("3.1", "right", "Five fires.", link="https://example.org/x").with_notes(
        "Kept."
    )
    assert repr(verdict) == ("✓ 3.1: right\nFive fires.\nKept.\nRead more: https://example.org/x")
    for part in (
        "✓ 3.1: right",
        "<p>Five fires.</p>",
        "<p>Kept.</p>",
        'href="https://example.org/x"',
    ):
        assert part in verdict._repr_html_()


def test_an_answer_cannot_write_into_the_page() -> None:
    """What a reader's value holds is text; what stands in backticks is code."""
    page = Verdict("3.1", "not yet", "`<b>`, a & b\nnext\n\n<script>")._repr_html_()
    assert "<p><code>&lt;b&gt;</code>, a &amp; b<br>next</p><p>&lt;script&gt;</p>" in page


def test_two_pictures_have_captions_and_one_has_none() -> None:
    """They are drawn when the page is, and not before."""
    drawn: list[str] = []

    def draw() -> bytes:
        drawn.append("x")
        return b"PNG"

    one, two = (Verdict("3.1", "not yet", "", (draw,) * number) for number in (1, 2))
    assert repr(one)
    assert drawn == []
    assert one._repr_html_().count("data:image/png;base64,UE5H") == 1
    assert "What your answer does:" not in one._repr_html_()
    assert "What your answer does:" in two._repr_html_()
    assert "What is expected:" in two._repr_html_()


def test_code_is_shown_as_it_is() -> None:
    """In a solution."""
    note = Note("One solution", "", code="if a < b:\n    pass", link="https://example.org")
    assert "if a < b:\n    pass" in repr(note)
    assert "<pre>if a &lt; b:\n    pass</pre>" in note._repr_html_()
