"""From punches to discipline: pure rules, and the step that reads and writes the central database."""
