"""Names from outside do not change the Markdown around them."""

import pytest

from tledge.core.markdown_text import code_text, plain_text

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat", "cat"),
        ("a_b|c", r"a\_b\|c"),
        ("<b>&amp;\n# x", r"\<b\>\&amp; \# x"),
        (r"[a](b) ~~c~~ \*", r"\[a\](b) \~\~c\~\~ \\\*"),
        ("`a`\x85b", r"\`a\` b"),
    ],
)
def test_signs_are_escaped(text: str, expected: str) -> None:
    assert plain_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("cat", "`cat`"), ("a\nb", "`a b`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("", "`  `")],
)
def test_code_ends_where_the_text_ends(text: str, expected: str) -> None:
    assert code_text(text) == expected
