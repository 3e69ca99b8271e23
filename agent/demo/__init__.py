"""The chaos demo: who leads it, what is seen as it goes, what is shown and returned at its end."""
