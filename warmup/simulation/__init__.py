"""Weeks of warm-up in seconds: provider models, senders, policies, and comparisons of them over seeds."""
