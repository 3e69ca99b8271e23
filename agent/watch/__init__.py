"""`operator watch`: the detector alone, for days, and whom it tells."""
