"""Who takes the steps: this process, several processes, or Ray on many machines; the rows are the same."""
