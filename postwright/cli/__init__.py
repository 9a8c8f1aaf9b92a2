"""The postwright command."""
