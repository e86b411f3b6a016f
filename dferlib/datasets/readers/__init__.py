"""One file per dataset: from the owners' folders to a list of clips."""
