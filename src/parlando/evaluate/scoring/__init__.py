"""How what was heard is compared with what should have been said."""
