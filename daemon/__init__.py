"""The program: command line, the edge daemon, the centre, the demo. The only package that knows all the others."""
