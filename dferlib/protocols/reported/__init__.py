"""What the papers print, cell by cell."""
