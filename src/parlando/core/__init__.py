"""Words everybody uses: types, stages, configuration, errors; no torch."""
