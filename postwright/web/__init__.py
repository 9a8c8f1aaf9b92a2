"""The pages: server-rendered, with small scripts of our own and a strict Content-Security-Policy."""

from postwright.web.pages import create_pages
from postwright.web.static_files import static_files
from postwright.web.web_services import WebServices

__all__ = ["WebServices", "create_pages", "static_files"]
