"""A chart as the answer to a request: in the looks and for the width that its address asks for."""

import asyncio
from typing import Final

from starlette.responses import Response

from postwright.chart_spec import ChartSpec, Theme, narrowed
from postwright.charts import draw
from postwright.web.headers import UNTRUSTED_LOGO_POLICY

_NARROW: Final = "narrow"
_THEMES: Final = {"light": Theme.LIGHT, "dark": Theme.DARK}


def theme_of(name: str) -> Theme:
    """The theme of that name; the light one for all that is none."""
    return _THEMES.get(name, Theme.LIGHT)


async def chart_picture(spec: ChartSpec | None, width: str) -> Response:
    """The picture, ``width`` being ``narrow`` for a phone; 404 where there is nothing to draw.

    A browser keeps it for half a minute, for whoever is signed in and for that language and zone: they come as cookies.
    """
    if spec is None:
        return Response(status_code=404)
    picture = await asyncio.to_thread(draw, narrowed(spec) if width == _NARROW else spec)
    headers = {
        "Content-Security-Policy": UNTRUSTED_LOGO_POLICY,
        "Cache-Control": "private, max-age=30",
        "Vary": "Cookie",
    }
    return Response(picture, media_type="image/svg+xml", headers=headers)
