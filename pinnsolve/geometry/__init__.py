"""Where terms hold: parts of the domain (`regions`, no array library) and points on them (`sampling`)."""
