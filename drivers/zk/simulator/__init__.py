"""A terminal made of software that speaks the real protocol: for tests, demonstrations and training."""
