"""What addresses, bounces and complaints mean for a list."""
