"""Who talks with whom, open or closed."""
