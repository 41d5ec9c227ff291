"""A problem file -> Spec: its shape is right, its names are known, or every mistake is told with its place."""
