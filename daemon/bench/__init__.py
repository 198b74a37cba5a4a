"""The technician's bench: what can be found out about terminals, and done to them, from a shell."""
