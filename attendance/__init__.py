"""The vocabulary of the field: punch, terminal, errors, clock. Imports nothing of ours and no third party."""
