"""NumPy as a backend: arrays in and out. It does not differentiate; hand and numeric sources run here."""

import array_api_compat.numpy

from gradproof.backend import Backend, StandardBackend

backend: Backend = StandardBackend(array_api_compat.numpy)
