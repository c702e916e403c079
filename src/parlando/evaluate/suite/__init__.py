"""What every protocol is made of: items to say, systems that say them, a store that resumes, figures and a report."""
