"""How fast each destination is sent to: limits, what replies change about them, and how they come back."""
