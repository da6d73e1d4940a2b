"""The pages that are made, not written: of causes and their texts, and of the matrix."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from lab.diagnosis.bench import PATHS
from lab.diagnosis.matrix import confusion
from relay.causes import TEXTS, Cause, Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.diagnosis.matrix import Row
    from relay.causes import Text

TROUBLESHOOTING: Final = "docs/troubleshooting.md"
DIAGNOSIS: Final = "docs/diagnosis.md"

_HEAD: Final = """\
# Troubleshooting

<!-- Made by `make documents` from relay/causes.py, the table that the code uses. -->

`python -m relay doctor` looks at everything that the settings name and says which of these it
is, with the command that mends it; a refusal in the log says the same. Begin there. What a
service says that no line here knows is `unknown`, and is shown in its own words, never
guessed at.

The texts are those of documentation and of public reports, named beside each; *ours* and
*inferred* mark what the local Azure says where no public source was found. None was compared
with Azure by this project.

Two rules of Azure Digital Twins explain much of what is met on its side:

- **Event Grid.** An endpoint of the kind Event Grid takes no managed identity: Azure Digital
  Twins keeps the topic's key. For an instance without keys use an event hub or a Service Bus
  topic.
- **Trusted services.** Azure Digital Twins comes past the firewall of a namespace by its
  *system-assigned* identity only, and only if the namespace excepts trusted services. Azure
  Functions is no trusted service of Event Hubs or Service Bus: the relay needs a private
  endpoint or an allowed subnet.

## What was said, and what it means
"""

_DIAGNOSIS: Final = """\
# What the doctor says to each cause

<!-- Made by `make diagnose`, which runs all of it. -->

Each cause is produced in the local Azure on every path that can meet it, with the Azure SDKs
unmodified, and the doctor is asked. A cell counts paths: those on which the cause of its row
was produced and the cause of its column was said. What is not on the diagonal would be a
wrong diagnosis. What a cause means and what mends it:
[troubleshooting.md](troubleshooting.md).

The local Azure answers in Azure's documented words and was never compared with Azure, so the
matrix shows that the doctor tells these causes apart where services speak so, not that they
do. Not produced here: `identity_endpoint_missing` (it would ask the instance metadata
service, off this machine), `key_refused` (the relay has no key to show), `not_allowed` (a
receiver that meets it was let in) and `settings_unusable`.
"""


def troubleshooting() -> str:
    """Return the page of causes and texts."""
    lines = [_HEAD, *_overview(), "", *_causes()]
    return "\n".join(lines).rstrip() + "\n"


def _overview() -> Iterator[str]:
    for service in Service:
        yield f"### {service}\n"
        yield "| condition, code or status | words | cause | where it was seen |"
        yield "|---|---|---|---|"
        for text in _of(service):
            code = f"`{text.code}`" if text.code else "any"
            words = f"`{text.words}`" if text.words else "any"
            link = f"[{text.cause}](#{text.cause})"
            yield f"| {code} | {words} | {link} | {text.source} |"
        yield ""


def _of(service: Service) -> Iterable[Text]:
    return (text for text in TEXTS if service in text.services)


def _causes() -> Iterator[str]:
    yield "## The causes\n"
    for cause in Cause:
        yield f"### {cause}\n"
        yield f"{cause.meaning}\n"
        yield f"*What to do:* {cause.advice}\n"
        if cause.reason is not None:
            yield f"A delivery that meets it fails as `{cause.reason}`.\n"


def diagnosis(rows: Sequence[Row]) -> str:
    """Return the page of the matrix."""
    right = sum(row.said[path] == row.case.name for row in rows for path in row.said)
    total = sum(len(row.said) for row in rows)
    return "\n".join(
        [
            _DIAGNOSIS,
            (
                f"**{right} of {total} diagnoses are right**, of {len(rows)} causes on "
                f"{len(PATHS)} paths: {', '.join(PATHS)}.\n"
            ),
            "```",
            confusion(rows),
            "```\n",
            "| produced | how | paths | said |",
            "|---|---|---|---|",
            *map(_line, rows),
            "",
        ]
    )


def _line(row: Row) -> str:
    said = Counter(row.said.values())
    told = ", ".join(f"`{name}` {count}x" for name, count in said.items())
    return f"| `{row.case.name}` | {row.case.how} | {len(row.said)} | {told} |"
