"""Published latency predictors, written anew from their papers and public settings to be compared with; no user's."""
