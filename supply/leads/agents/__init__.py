"""Who wins merchants for a commission: own reps and distributors, their plans, what they have earned and given back."""
