"""Event Hubs and Service Bus over AMQP 1.0, as the Azure SDKs expect them, in one process."""
