"""MJML before the engine sees it: what is wrong with it, and parts that come from the template library."""

from rendering.mjml.includes import Expanded, IncludeLimits, expand_includes
from rendering.mjml.validate import validate_mjml

__all__ = ["Expanded", "IncludeLimits", "expand_includes", "validate_mjml"]
