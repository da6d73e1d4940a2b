"""What a partitioned entity refuses: batches that it would have to cut.

Texts from public reports: Azure/amqpnetlite#120, Azure/azure-service-bus#103 and
Azure/azure-sdk-for-python#36333.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.messaging.entities.refusals import NotAllowedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.messaging.entities.message import Incoming


def check_batch(batch: Sequence[Incoming], *, detects_duplicates: bool) -> None:
    """Refuse a batch that belongs into several partitions.

    Args:
        batch: what came in one message of AMQP's batch format.
        detects_duplicates: whether the message id chooses a partition too.

    Raises:
        NotAllowedError: nothing of the batch may be taken.
    """
    if detects_duplicates:
        raise NotAllowedError(
            "Batching brokered messages with distinct SessionId, PartitionKey, or MessageId is "
            "not supported for an entity with partitioning and duplicate detection enabled."
        )
    if len({incoming.session_id for incoming in batch}) > 1:
        raise NotAllowedError(
            "Batching brokered messages with distinct SessionId or PartitionKey is not "
            "supported for an entity with partitioning enabled."
        )
