"""The tracking and unsubscribe endpoints, raw ASGI."""
