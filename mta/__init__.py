"""The delivery engine: states, conversation, routing, retries, signing on the way out."""
