"""What is allowed, as text a jurist can read, and the trace of what was done.

Knows no other package of the project. See README.md.
"""
