"""The hospital's side: reports made into letters, kept sealed until the node has them; see README.md."""
