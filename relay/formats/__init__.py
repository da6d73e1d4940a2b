"""How a CloudEvent is written down: as AMQP properties, as JSON, as an Event Grid event."""
