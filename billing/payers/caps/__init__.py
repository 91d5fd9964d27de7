"""How much a contract may still give: a limit per period, handed out in leases so that no row is hot."""
