"""A Polygon Edge node: drop-in for the Go client, with archives that prove what they hold."""
