"""One port beside the reference: runs, bars, stages, blame, and the grounds of a diagnosis."""
