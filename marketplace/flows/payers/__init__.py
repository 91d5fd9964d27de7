"""Third parties that pay part of the bill."""
