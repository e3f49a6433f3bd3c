"""A browser's part of the page, in Python: what the demo's patient does where nobody sits before a screen.

It derives, wraps and swaps as the page's own worker does, from the same description: letters, keys and slots made by
one are opened by the other, which the tests rely on.
"""
