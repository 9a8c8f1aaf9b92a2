"""SMTP submission (RFC 6409): the listener, and in ``ports`` what it asks of its owner."""
