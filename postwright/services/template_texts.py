"""A template's text: what the renderer makes of it, and whether it compiles."""

from dataclasses import replace

from mailtypes.saying import say
from postwright.services.errors import Problem, RefusedError
from postwright.services.template_parts import without_parts
from postwright.store.templates import TemplateText, TemplateVersion
from rendering.source import BodyFormat, TemplateSource, TemplateSyntaxError
from rendering.template import Template, parse_template

MAX_BODY = 1024 * 1024
_FORMATS: dict[str, BodyFormat] = {"mjml": "mjml", "html": "html"}


def source_of(text: TemplateText, subject: str | None = None) -> TemplateSource:
    """A stored text as the renderer wants it, under its own subject or another."""
    body_format = _FORMATS.get(text.body_format)
    if body_format is None:
        raise RefusedError(
            "template_format",
            say("'%(body_format)s' is not a format; write mjml or html.", body_format=text.body_format),
            field="body_format",
        )
    return TemplateSource(text.body, body_format, subject or text.subject, text.preheader, text.plain_text)


def check_text(text: TemplateText) -> None:
    """Compile a text, without the parts that it includes; raises ``RefusedError`` with the place and the next step."""
    try:
        parse_template(source_of(without_parts(text)))
    except TemplateSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "template_syntax", error.part)]) from error


def template_of(version: TemplateVersion, subject: str, preheader: str | None) -> Template:
    """The compiled template of a variant; raises ``RefusedError`` where it does not compile."""
    text = version.text if preheader is None else replace(version.text, preheader=preheader)
    try:
        return parse_template(source_of(text, subject))
    except TemplateSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "template_syntax", error.part)]) from error
