"""What is shown of a PortReport: in the terminal, as JSON, as a page."""
