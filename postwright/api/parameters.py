"""Query parameters that several routes share."""

from typing import Annotated

from fastapi import Query

from postwright.api.representations import PageWanted

PageQuery = Annotated[PageWanted, Query()]
