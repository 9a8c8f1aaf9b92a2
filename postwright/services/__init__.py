"""What the product does, between the edges and the store."""
