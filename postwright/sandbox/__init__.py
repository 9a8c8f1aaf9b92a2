"""A small Internet on loopback: DNS, mailbox providers that judge, a certificate authority."""
