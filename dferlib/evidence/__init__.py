"""Everything made of finished runs alone: records, scores, tests, tables. No torch here."""
