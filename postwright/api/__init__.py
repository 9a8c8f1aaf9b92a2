"""HTTP /v1 for API clients."""
