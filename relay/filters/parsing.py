"""Text to parse tree; whatever is no filter is refused here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lark import Lark
from lark.exceptions import UnexpectedInput, UnexpectedToken

from relay.filters.errors import FilterError, Mistake
from relay.filters.explaining import explain, unclosed, unreadable
from relay.filters.syntax import Span
from relay.filters.tree import Tree, span_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lark import Token
    from lark.parsers.lalr_interactive_parser import InteractiveParser

    from relay.filters.syntax import Node

LONGEST: Final = 10_000
"""Characters of a filter."""

DEEPEST: Final = 50
"""Parentheses open at once."""

_PARSER: Final = Lark(
    Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8"),
    parser="lalr",
    transformer=Tree(),
)


class Parsed(NamedTuple):
    """A filter's text, its tree, and its words in order."""

    text: str
    tree: Node
    tokens: Sequence[Token]


def parse(text: str) -> Parsed:
    """Return what the filter says.

    Raises:
        FilterError: the text isn't a filter.
    """
    try:
        return _parse(text)
    except Mistake as mistake:
        raise FilterError(text, mistake) from None


def _parse(text: str) -> Parsed:
    _check_length(text)
    parser = _PARSER.parse_interactive(text)
    tokens: list[Token] = []
    open_at: list[Span] = []
    try:
        for token in parser.iter_parse():
            tokens.append(token)
            _follow(token, open_at)
        tree: Node = parser.feed_eof()  # type: ignore[no-untyped-call] # lark gives it no types
        return Parsed(text, tree, tokens)
    except UnexpectedInput as error:
        raise _mistake(text, parser, error, open_at) from error


def _check_length(text: str) -> None:
    if not text.strip():
        raise Mistake(
            Span(0, 0), "the filter is empty", "Write true for a route that takes every event."
        )
    if len(text) > LONGEST:
        raise Mistake(
            Span(LONGEST, LONGEST + 1),
            f"the filter has {len(text):,} characters, {LONGEST:,} are allowed",
            "Use IN for a list of values, or divide it over several routes.",
        )


def _follow(token: Token, open_at: list[Span]) -> None:
    """Keep account of open parentheses: nothing else in the language nests."""
    if token.type == "LPAR":
        open_at.append(span_of(token))
        if len(open_at) > DEEPEST:
            raise Mistake(
                open_at[-1],
                f"more than {DEEPEST} parentheses are open",
                "Take out parentheses that change nothing, or divide it over several routes.",
            )
    elif token.type == "RPAR" and open_at:
        open_at.pop()


def _mistake(
    text: str, parser: InteractiveParser, error: UnexpectedInput, open_at: Sequence[Span]
) -> Mistake:
    expected = parser.accepts()  # type: ignore[no-untyped-call] # lark gives it no types
    if not isinstance(error, UnexpectedToken):
        return explain(text, unreadable(text, error.pos_in_stream), expected)  # type: ignore[arg-type] # an int
    if error.token.type == "$END":
        end = len(text.rstrip())
        return unclosed(Span(end, end + 1), expected, open_at)
    return explain(text, span_of(error.token), expected)
