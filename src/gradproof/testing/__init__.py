"""What a test gets from the pytest plugin, and what the plugin tells at the end; nothing here knows pytest."""

from gradproof.testing.checker import Checker, NotProven
from gradproof.testing.choices import Choices, choose
from gradproof.testing.summary import Summary

__all__ = ["Checker", "Choices", "NotProven", "Summary", "choose"]
