"""How much each tenant may ask for: reserved before, settled after."""
