"""The vocabulary that every room shares: values only, no I/O (standard library and ``idna``).

Import the names from the modules that define them, for instance ``from mailtypes.address import EmailAddress``.
"""
