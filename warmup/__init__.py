"""Ramp plans and the budget that they allow."""
