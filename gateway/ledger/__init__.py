"""Money: what each tenant may spend, has spent, and has set aside."""
