"""Event routes of Azure Digital Twins: what there is, and what the relay's routes want."""
