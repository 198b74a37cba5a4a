"""Driver `file`: what a terminal put on a stick (attlog.dat), and the exports that technicians carry."""
