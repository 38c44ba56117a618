"""Knowledge that several mission kinds share: pure functions over a cluster's snapshot."""
