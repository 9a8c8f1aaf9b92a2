"""Segments: a small filter tree over contacts, read from JSON, told in English, and matched against what is known."""
