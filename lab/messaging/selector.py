"""Where a consumer wants to begin: the selector of its source filter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lab.messaging.codec import Described, Value
from lab.messaging.node import Error, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.messaging.hub import Partition

KEY: Final = "apache.org:selector-filter:string"

_SELECTOR: Final = re.compile(
    r"amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time)\s*(>=?)\s*'(@latest|-?\d+)'"
)


@dataclass(frozen=True, slots=True)
class Selector:
    """A position: `annotation` compared with `value` by `>` or, if `inclusive`, `>=`.

    Attributes:
        annotation: `offset`, `sequence-number` or `enqueued-time`.
        value: a number as text, or `@latest`.
        inclusive: whether the position itself is wanted.
    """

    annotation: str = "offset"
    value: str = "-1"
    inclusive: bool = False

    def start(self, partition: Partition) -> int:
        """Return the sequence number of the first event wanted."""
        if self.value == "@latest":
            return partition.next
        number = int(self.value)
        match self.annotation:
            case "offset":
                return partition.after_offset(number, inclusive=self.inclusive)
            case "sequence-number":
                return max(partition.first, number if self.inclusive else number + 1)
            case _:
                return partition.after_time(number, inclusive=self.inclusive)


def selector(filters: Mapping[str, Value]) -> Selector:
    """Return what a filter set says; raises `Refusal` for a selector that nobody knows."""
    described = filters.get(KEY)
    text = described.value if isinstance(described, Described) else described
    if text is None:
        return Selector()
    match = _SELECTOR.fullmatch(str(text).strip())
    if match is None:
        raise Refusal(Error("amqp:invalid-field", f"The selector {text!r} is not understood."))
    return Selector(match[1], match[3], match[2] == ">=")
