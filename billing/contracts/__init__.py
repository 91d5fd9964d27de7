"""Commission contracts: what a merchant pays the platform for a sale, in versions that never change once used."""
