"""What only this family is made of: its notation, its delay pattern and its codec."""
