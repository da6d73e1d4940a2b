"""The filters that event routes of Azure Digital Twins take: what is documented, and no more.

Source: "Create event routes and filters in Azure Digital Twins". The service's own parser may
take more, such as words in lower case or quotes inside a text; that is not documented.
"""

from __future__ import annotations

from typing import Final

from lark import Lark
from lark.exceptions import UnexpectedInput

_PARSER: Final = Lark(
    r"""
    start: "true" | "false" | expression
    expression: term (("AND" | "OR") term)*
    term: "(" expression ")" | comparison | function
    comparison: operand OPERATOR (TEXT | NUMBER | "true" | "false" | "null")
    function: ("STARTS_WITH" | "ENDS_WITH" | "CONTAINS") "(" operand "," TEXT ")"
    operand: "type" | "source" | "subject" | "dataschema" | "datacontenttype" | "specversion"
           | BODY

    BODY: /\$body(\.[$A-Za-z_][$A-Za-z0-9_]*)+/
    OPERATOR: "!=" | "<=" | ">=" | "=" | "<" | ">"
    TEXT: /'[^'\\]*'/
    NUMBER: /-?[0-9]+(\.[0-9]+)?/
    %ignore /\s+/
    """,
    parser="lalr",
)


def is_filter(text: str) -> bool:
    """Tell whether an event route may have the filter."""
    try:
        _PARSER.parse(text)
    except UnexpectedInput:
        return False
    return True
