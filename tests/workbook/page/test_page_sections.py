from __future__ import annotations

import json

from kst_workbook.page.sections import Section, search_index, sections_of


def test_a_section_reaches_to_the_next_heading() -> None:
    """Its title is without the sign of the link, and text is in one line."""
    html = """<p>before</p>
<h1 id="A">A <code>b</code><a class="anchor-link" href="#A">#</a></h1>
<p>one</p><p>two
three</p><h4 id="no">small</h4>
<h2 id="B-c">B &amp; c</h2><table><tr><td>x</td><td>y</td></tr></table>"""
    assert sections_of(html) == [
        Section(1, "A", "A b", "one two three small"),
        Section(2, "B-c", "B & c", "x y"),
    ]


def test_code_is_found_as_it_is_written() -> None:
    """The colours of its tokens do not part them."""
    html = '<h2 id="a">A</h2><pre><span>misfire</span><span>_grace_time</span></pre>'
    assert sections_of(html)[0].text == "misfire_grace_time"


def test_the_index_is_a_script_that_only_sets_a_value() -> None:
    """A page that is opened as a file may load a script, but may not read a file of data."""
    pages = [("a.html", "한국", [Section(1, "A", "A", 'say "hi"')])]
    script = search_index(pages)
    assert json.loads(script.removeprefix("window.searchIndex = ").removesuffix(";\n")) == [
        ["a.html", "한국", [["A", "A", 'say "hi"']]]
    ]
    assert "한국" in script
