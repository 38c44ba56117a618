"""The mission kind incident-response: from symptoms to ranked causes and proposals."""
