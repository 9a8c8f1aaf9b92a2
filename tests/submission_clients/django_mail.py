"""Messages by Django's e-mail backend: ``django_mail.py starttls|tls ADDRESS...``; where to is in the environment."""

import os
import sys

import django
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

way, *addresses = sys.argv[1:]
settings.configure(
    EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
    EMAIL_HOST=os.environ["PW_HOST"],
    EMAIL_PORT=int(os.environ["PW_TLS_PORT" if way == "tls" else "PW_SMTP_PORT"]),
    EMAIL_USE_SSL=way == "tls",
    EMAIL_USE_TLS=way == "starttls",
    EMAIL_HOST_USER="apikey",
    EMAIL_HOST_PASSWORD=os.environ["PW_KEY"],
    EMAIL_TIMEOUT=20,
)
django.setup()

with get_connection() as connection:  # one connection for all of them
    for address in addresses:
        message = EmailMultiAlternatives(
            "Your order, from Django",
            "It has left the orchard.\n",
            os.environ["PW_SENDER"],
            [address],
            bcc=[f"copy.{address}"],
            headers={"X-Postwright-Tag": "receipt"},
            connection=connection,
        )
        message.attach_alternative("<p>It has left the <b>orchard</b>.</p>", "text/html")
        print(message.send())
