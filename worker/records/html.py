"""HTML in texts: tags with attributes, and so with spaces. Entities and bare tags are left to the tokenizer."""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = (
    "a|abbr|b|blockquote|br|code|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|q|s|small|span|strong|sub|sup|table|td|tr|u|ul"
)
_ATTRIBUTE: Final = r"""\s+[\w:-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=]+))?"""
_TAG = re.compile(rf"</?(?:{_NAMES})(?:{_ATTRIBUTE})*\s*/?>", re.IGNORECASE)


def blank_tags(text: str) -> str:
    """The text with spaces in place of its tags, as many as they have characters: places in the text stay the same."""
    return _TAG.sub(lambda tag: " " * len(tag[0]), text) if "<" in text else text
