"""The cluster itself: status, start, stop."""
