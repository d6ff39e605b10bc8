"""Where each parameter of a port comes from in the reference: written down, found out, applied."""
