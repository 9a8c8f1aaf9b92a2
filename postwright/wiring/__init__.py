"""Joins the rooms: builds every service from the settings. With ``postwright.settings``, the only reader of them."""
