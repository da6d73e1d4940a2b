"""Why a filter doesn't parse, in a person's words, and what to write instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from relay.filters.errors import Mistake
from relay.filters.syntax import Span
from relay.filters.tree import unknown_field

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_PHRASES: Final = (
    ("FUNCTION", "a condition such as $body.temperature > 20"),
    ("BODY", "a field such as type or $body.temperature"),
    ("NUMBER", "a value: 'text', a number, true, false or null"),
    ("STRING", "a text in single quotes"),
    ("INDEX", "a position in the array, counted from 0"),
    ("SEGMENT", "a name"),
    ("COMPARATOR", "a comparison (=, !=, <, <=, >, >=)"),
    ("_IN", "IN"),
    ("_AND", "AND"),
    ("_OR", "OR"),
    ("_COMMA", "a comma"),
    ("_DOT", "a dot and a name"),
    ("LPAR", "an opening parenthesis"),
    ("RPAR", "a closing parenthesis"),
    ("RSQB", "a closing bracket"),
    ("$END", "the end of the filter"),
)
"""What is said for what the parser would take; a phrase stands for all that it covers."""

_COVERED: Final = {
    "FUNCTION": {"BODY", "LPAR"},
    "COMPARATOR": {"_DOT"},
    "BODY": set[str](),
    "NUMBER": {"STRING"},
}

_FUNCTIONS: Final = "STARTS_WITH, ENDS_WITH, CONTAINS and PATCH_TOUCHES"
_QUOTES: Final = "Put texts into straight single quotes: 'like this'."

_RESERVED: Final = re.compile(r"(and|or|not|in|true|false|null)\b", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d]\w*")
_WORD_BEFORE: Final = re.compile(r"(\w+)\s*\Z")
_SYMBOLS: Final = re.compile(r"[&|]+|.", re.DOTALL)

_HABITS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), where, remedy)
    for pattern, where, remedy in (
        (r"&&?", None, "Write AND."),
        (r"\|\|?", None, "Write OR."),
        (r"!(?!=)", "FUNCTION", "Write NOT (a condition)."),
        (r"not\b", "FUNCTION", "One NOT is enough, or put the rest in parentheses."),
        (r"[\"`\u2018\u2019\u201c\u201d]", None, "Write straight single quotes: 'text'."),
        (r"['\d-]", "FUNCTION", "Write the field first: $body.temperature > 20."),
        (r"(and|or)\b", "FUNCTION", "A condition is missing before this word."),
        (r"\$", "BODY", "What is in the data begins with $body: $body.$metadata.$model."),
        (r"-", "INDEX", "Positions are counted from 0."),
        (r"\*", "INDEX", "There are no wildcards: write the position, as in [0]."),
        (r"\w", "INDEX", "Write a position, [0], or a name in quotes, ['name']."),
        (r"'", "STRING", "The text is never closed: end it with a single quote."),
        (r"[$\w]", "NUMBER", "The right side is a value; a text needs single quotes: 'text'."),
        (r"[$\w]", "STRING", "A text needs single quotes: 'text'."),
        (r"[-@:#/']", "_DOT", "Write such a name in brackets: $body['device-id']."),
        (r"\[", "SEGMENT", "Leave out the dot before a bracket."),
        (r"is\s+not\b", "COMPARATOR", "Write != null."),
        (r"is\b", "COMPARATOR", "Write = null."),
        (r"like\b", "COMPARATOR", "Write STARTS_WITH, ENDS_WITH or CONTAINS (field, 'text')."),
        (r"between\b", "COMPARATOR", "Write two comparisons, >= and <=, joined by AND."),
        (r"(starts_with|ends_with|contains)\b", "COMPARATOR",
         "Write the function first: CONTAINS(subject, 'text')."),
        (r"\.", "COMPARATOR", "What is in the data begins with $body: $body.name."),
        (r"[$\w(]", "_AND", "Join conditions with AND or OR."),
        (r";", "$END", "A filter ends without a semicolon."),
        (r".", "FUNCTION", ""),
        (r".", "LPAR", "Write the parentheses: IN (1, 2), CONTAINS(subject, 'text')."),
    )
)  # fmt: skip
"""What people write out of habit: the text found, what would have been taken there (`None`:
whatever), the remedy. The first that fits is said."""


def explain(text: str, span: Span, expected: Collection[str]) -> Mistake:
    """Return what is wrong where the parser stopped, given what it would have taken there."""
    if unknown := _unknown_name(text, span, expected):
        return unknown
    found = text[span.start : span.end]
    shown = found if found.isprintable() else f"the character U+{ord(found[0]):04X}"
    return Mistake(
        span,
        f"{_in_words(expected)} is expected here, not {shown}",
        _remedy(text, span, expected),
    )


def unreadable(text: str, offset: int) -> Span:
    """Return how far what is no word of the language reaches."""
    match = _SYMBOLS.match(text, offset)
    return Span(offset, match.end() if match else offset + 1)


def _unknown_name(text: str, span: Span, expected: Collection[str]) -> Mistake | None:
    """Return the mistake if a function is called, or a field named, that there isn't."""
    called = _WORD_BEFORE.search(text, 0, span.start)
    if called and text.startswith("(", span.start) and "COMPARATOR" in expected:
        return Mistake(
            Span(*called.span(1)),
            f"there is no function {called[1]}",
            f"The functions are {_FUNCTIONS}; that a field is there says $body.name != null.",
        )
    name = _WORD.match(text, span.start)
    if name and "FUNCTION" in expected and not _RESERVED.match(text, span.start):
        return unknown_field(Span(*name.span()), name[0])
    return None


def unclosed(span: Span, expected: Collection[str], open_at: Sequence[Span]) -> Mistake:
    """Return what is missing where the filter ended too early."""
    if open_at and "RPAR" in expected:
        return Mistake(open_at[-1], "this parenthesis is never closed", "Add the missing ).")
    return Mistake(span, f"the filter ends where {_in_words(expected)} is expected")


def _remedy(text: str, span: Span, expected: Collection[str]) -> str:
    if text.startswith(")", span.start) and "$END" in expected:
        return "No parenthesis is open here: take this one out, or open one before."
    if text[span.start - 1] == "'" and text[span.start].isalnum() and "_AND" in expected:
        return "A quote inside a text is written twice: 'it''s'."
    fitting = (
        remedy
        for pattern, where, remedy in _HABITS
        if (where is None or where in expected) and pattern.match(text, span.start)
    )
    return next(fitting, "")


def _in_words(expected: Collection[str]) -> str:
    *phrases, last = _phrases(set(expected))
    return f"{', '.join(phrases)} or {last}" if phrases else last


def _phrases(expected: set[str]) -> Iterator[str]:
    for terminal, phrase in _PHRASES:
        if terminal in expected:
            yield phrase
            expected -= _COVERED.get(terminal, set())
