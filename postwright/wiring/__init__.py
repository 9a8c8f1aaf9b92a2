"""Joins the rooms: builds every service from the settings. With ``postwright.settings``, the only reader of them."""

from postwright.wiring.application import Application
from postwright.wiring.delivery import DeliveryWorker, egress_units
from postwright.wiring.probing import probe_policy

__all__ = ["Application", "DeliveryWorker", "egress_units", "probe_policy"]
