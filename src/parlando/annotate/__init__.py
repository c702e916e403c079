"""From raw audio to a corpus: steps from rows to rows, and the executors that take them."""
