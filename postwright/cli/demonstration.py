"""``postwright demo``."""

from postwright.demo.command import run_demo

__all__ = ["run_demo"]
