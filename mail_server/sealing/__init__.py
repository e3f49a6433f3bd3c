"""Envelopes: OpenPGP now, S/MIME later, behind one interface."""
