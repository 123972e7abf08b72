"""Multiple-choice tasks: questions, where they come from, how they are asked."""
