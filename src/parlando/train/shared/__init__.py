"""What trainings of both families have in common."""
