"""`hadir demo`: a small regency on one machine, on real parts."""
