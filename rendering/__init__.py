"""From template to bytes: merge, MJML, CSS, plain text, MIME."""
