"""Which value of one port is which of another, and how it is read there."""
