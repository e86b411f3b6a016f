"""Finding faces in frames and cutting them out."""
