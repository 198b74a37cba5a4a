"""One module a command; each is light to import, and loads what it needs when it runs."""
