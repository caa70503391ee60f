"""What every process needs, and nothing that knows a service."""
