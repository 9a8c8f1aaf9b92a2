"""``python -m postwright`` is the ``postwright`` command."""

from postwright.cli.app import main

main()
