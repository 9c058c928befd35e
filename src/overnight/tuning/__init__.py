"""A search for better values: its space, its trials, whoever runs them."""
