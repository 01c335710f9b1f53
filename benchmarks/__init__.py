"""Speed and memory of core against the budgets, as ratios to references that run in the same minute."""
