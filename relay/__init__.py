"""Twin Relay: Azure Digital Twins events into locked-down networks, by managed identity."""
