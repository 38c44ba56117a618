"""The typed templates of changes: what a mission may propose, within which bounds."""
