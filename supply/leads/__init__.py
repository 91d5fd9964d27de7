"""Acquisition: channels and what they cost, leads with touches and attribution, pools, territories and reps."""
