"""`pinnsolve verify`: how fast errors fall, against a solution that is known or manufactured."""
