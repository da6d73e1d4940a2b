"""What a filter's author should know before the filter runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.filters.documented import extensions, spelling
from relay.filters.findings import Finding
from relay.filters.parsing import parse
from relay.filters.surprises import surprises

if TYPE_CHECKING:
    from collections.abc import Sequence


def lint(text: str) -> Sequence[Finding]:
    """Return what there is to know about a filter, in the order of its text.

    Raises:
        FilterError: the text isn't a filter.
    """
    parsed = parse(text)
    advice = [*spelling(parsed.tokens), *extensions(parsed.tree), *surprises(parsed.tree)]
    return sorted(Finding.of(text, each) for each in advice)
