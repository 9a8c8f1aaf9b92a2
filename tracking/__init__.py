"""Tokens, pixel, links, unsubscribe; knows no database."""
