"""Professionals, organisations, their addresses and certificates.

Knows no other package of the project. See README.md.
"""
