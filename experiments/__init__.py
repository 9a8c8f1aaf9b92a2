"""A/B allocation and decisions."""
