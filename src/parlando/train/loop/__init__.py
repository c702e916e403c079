"""The trainer: any task, a budget, a log, checkpoints, several processes; it knows no audio and no family."""
