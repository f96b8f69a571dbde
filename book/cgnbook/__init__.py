"""Tables, figures, spread and verdicts: the only place with pandas, seaborn and matplotlib."""
