"""Setting an install up and checking it."""
