"""The program: command line, edge daemon, centre, demo. The only package that knows all the others."""
