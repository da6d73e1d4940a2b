"""What a tired engineer or an attacker might do to the templates: `sabotages.yaml`, read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.infra.project import Project


@dataclass(frozen=True)
class Sabotage:
    """One change for the worse.

    Attributes:
        what: in words.
        policy: which one must notice.
        file: which it is made to.
        old: a text that stands there once.
        new: what takes its place.
    """

    what: str
    policy: str
    file: str
    old: str
    new: str

    def done_to(self, project: Project) -> Project:
        """Return the project with this change.

        Raises:
            LookupError: the text is not there, or not once.
        """
        return project.with_edit(self.file, self.old, self.new)


_TABLE = Path(__file__).with_name("sabotages.yaml").read_text("utf-8")
SABOTAGES = tuple(Sabotage(**each) for each in yaml.safe_load(_TABLE))
