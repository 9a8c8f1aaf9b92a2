"""The roles as running processes, and the tree of them."""
