"""Figures: a tidy table or plain arrays in, Axes or a Figure out. Nothing is computed here."""
