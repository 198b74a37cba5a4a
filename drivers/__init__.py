"""How to talk to each kind of terminal. Knows no configuration file, no broker and no database."""
