"""Settings files: read once, checked whole, given on as frozen values."""
