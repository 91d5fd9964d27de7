"""What buyers mean to buy: carts over several merchants, and the quote of what they would pay."""
