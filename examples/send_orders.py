"""Receipts and a bulk by the generated client: ``POSTWRIGHT_KEY=pw_... python examples/send_orders.py URL``.

The demo runs at http://127.0.0.1:8025, and its senders are at news.acme.test.
"""

import os
import sys

from postwright_client import ApiError, Client, RecipientWanted, every

SENDER = "Acme Garden <orders@news.acme.test>"


def main(url: str, key: str) -> int:
    """Send two receipts and a bulk to three people; the exit status is 1 where something was refused."""
    with Client(url, key) as client:
        for number, address in ((41, "ruth@mailhub.test"), (42, "dana@doar.test")):
            # The key makes it safe to run this again: whoever has the receipt gets no second one.
            answer = client.send_message(
                {
                    "from": SENDER,
                    "to": [address],
                    "subject": f"Your order {number}",
                    "text": "It has left the orchard.",
                    "tags": ["receipt"],
                    "metadata": {"order": number},
                },
                idempotency_key=f"receipt-{number}",
            )
            print(f"{address}: {answer['id']}")
        try:
            print(send_bulk(client))
        except ApiError as error:
            print(f"refused: {error}", *(item["detail"] for item in error.errors), sep="\n  ", file=sys.stderr)
            return 1
        accepted = sum(1 for _ in every(client.list_events, kind="accepted"))
        print(f"{accepted} accepted so far")
    return 0


def send_bulk(client: Client) -> str:
    """A bulk whose recipients come as a stream, so there may be millions of them."""
    body = (
        '<p>Hello {{ contact.name }}, {{ contact.offers }} offers. <a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'
    )
    template = client.create_template(
        {"name": "Offers", "body": body, "body_format": "html", "subject": "{{ contact.offers }} offers for you"}
    )
    bulk = client.create_bulk({"from": SENDER, "template": template["id"]})
    people: list[RecipientWanted] = [
        {
            "address": f"{name.lower()}@mailhub.test",
            "data": {"name": name, "offers": number},
            "key": f"customer-{number}",
        }
        for number, name in enumerate(("Rosa", "Edith", "Hugo"), start=2)
    ]
    for progress in client.stream_bulk_recipients(bulk["id"], people):
        print(f"{progress['offset']} read, {progress['accepted']} new, {len(progress['refused'])} refused")
    return client.commit_bulk(bulk["id"])["state"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.environ["POSTWRIGHT_KEY"]))
