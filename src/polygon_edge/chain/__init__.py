"""What a chain is: genesis, rules, blocks as bytes. No database, no network."""
