"""The pages: server-rendered, with small scripts of our own and a strict Content-Security-Policy."""

from postwright.web.pages import create_pages, not_found_page
from postwright.web.static_files import static_files
from postwright.web.web_services import WebServices

__all__ = ["WebServices", "create_pages", "not_found_page", "static_files"]
