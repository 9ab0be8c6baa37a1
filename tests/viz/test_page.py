import base64

from spikesim.viz import Section, html_page


def test_page_escapes_what_it_is_given():
    page = html_page("<b>", [Section("t & t", "<script>", ["<c>"], [["<cell>"]])])
    assert "<script>" not in page and "<cell>" not in page and "<b>" not in page
    assert "&lt;script&gt;" in page and "t &amp; t" in page


def test_page_embeds_pictures_and_needs_no_network():
    page = html_page("Run", [Section("Picture", png=b"\x89PNG")])
    encoded = base64.b64encode(b"\x89PNG").decode()
    assert f"data:image/png;base64,{encoded}" in page
    assert "http://" not in page and "https://" not in page


def test_empty_lines_part_paragraphs_and_empty_parts_are_left_out():
    page = html_page("Run", [Section("A", "one\n\ntwo\n\n"), Section("B")])
    assert page.count("<p>") == 2
    assert "<table>" not in page and "<img" not in page
