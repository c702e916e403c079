"""Understanding: a recording in, one structured answer out (`parlando.text.answer`)."""
