"""Ways out of the house: one `send` each, the same four answers, no domain words inside."""
