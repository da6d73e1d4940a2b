"""What an app declares: its functions, their triggers and retry policies."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lab.functions.failures import AppFailed
from lab.functions.protocol import protos

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from lab.functions.messages import Json

_SETTING: Final = re.compile(r"%([^%]+)%")
FOREVER: Final = -1


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What the host does when a function fails.

    Attributes:
        maximum: retries after the first attempt; `FOREVER` for no end.
        minimum_interval: the first delay.
        maximum_interval: the longest delay; equal to the first when the delay is fixed.
    """

    maximum: int
    minimum_interval: timedelta
    maximum_interval: timedelta

    def delay(self, retry: int) -> timedelta:
        """Return how long to wait before the given retry (from 1).

        As RandomizedExponentialBackoffStrategy in Azure/azure-webjobs-sdk does, without its
        jitter of a fifth.
        """
        exponent = min(retry - 2, 40)
        growth = 2**exponent if retry > 1 else 0
        return min(self.minimum_interval * (1 + growth), self.maximum_interval)


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the app, as the worker library indexed it."""

    name: str
    id: str
    bindings: tuple[Mapping[str, Json], ...]
    retry: RetryPolicy | None = None

    @property
    def trigger(self) -> Mapping[str, Json]:
        """The binding that starts the function."""
        return next(
            binding for binding in self.bindings if str(binding["type"]).endswith("Trigger")
        )

    @property
    def trigger_type(self) -> str:
        """The trigger's kind, such as `eventHubTrigger`."""
        return str(self.trigger["type"])

    def attribute(self, name: str, settings: Mapping[str, str], default: str = "") -> str:
        """Return an attribute of the trigger, with each `%SETTING%` resolved.

        Raises:
            AppFailed: a setting that it names is missing.
        """
        return _SETTING.sub(
            lambda found: self.setting(found[1], settings),
            str(self.trigger.get(name, default)),
        )

    def setting(self, name: str, settings: Mapping[str, str]) -> str:
        """Return a setting that the trigger needs.

        Raises:
            AppFailed: the setting is missing.
        """
        if name not in settings:
            raise AppFailed(
                f"function {self.name!r}: its {self.trigger_type} needs the app setting"
                f" {name}, which is not set"
            )
        return settings[name]


def functions(response: Any) -> tuple[Function, ...]:
    """Return the functions in a `FunctionMetadataResponse`."""
    return tuple(_function(found) for found in response.function_metadata_results)


def _function(found: Any) -> Function:
    return Function(
        name=found.name,
        id=found.function_id,
        bindings=tuple(json.loads(binding) for binding in found.raw_bindings),
        retry=_retry(found.retry_options) if found.HasField("retry_options") else None,
    )


def _retry(options: Any) -> RetryPolicy:
    fixed = options.retry_strategy == protos.RpcRetryOptions.fixed_delay
    first = options.delay_interval if fixed else options.minimum_interval
    longest = options.delay_interval if fixed else options.maximum_interval
    return RetryPolicy(options.max_retry_count, first.ToTimedelta(), longest.ToTimedelta())
