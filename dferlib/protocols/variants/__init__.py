"""The rows of papers that have many of them."""
