"""What `python -m kdutils` does with recipes and records: train, publish, print."""
