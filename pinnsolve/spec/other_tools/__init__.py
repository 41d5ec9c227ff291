"""Problem files in the words of other tools, and the lines to write instead."""
