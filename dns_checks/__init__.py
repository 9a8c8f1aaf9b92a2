"""What the DNS says about a sender: one folder for each RFC, pure evaluators and one driver."""
