"""The SMTP door's sans-I/O core: bytes and text in, values and replies out.

Invariants: nothing here opens a socket, sleeps, or knows of stores, accounts or delivery; nothing a peer
sends raises anything but `replies.CommandRefused`.
"""
