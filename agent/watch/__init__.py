"""`operator watch`: the detector alone, for days, and who is notified."""
