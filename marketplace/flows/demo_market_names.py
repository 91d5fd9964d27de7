"""Names and numbers the demonstration market is made of. All of it is invented; cities and regions are real."""

import msgspec


class CategoryMake(msgspec.Struct, frozen=True):
    """price_from, price_to: in minor units, of one piece. freight_minor: of the first parcel."""

    category: str
    name_en: str
    shop: str
    price_from: int
    price_to: int
    freight_minor: int


CATEGORIES = (
    CategoryMake("home_textiles", "Home textiles", "Linen", 1490, 8990, 490),
    CategoryMake("furniture", "Furniture", "Joinery", 4900, 39900, 2990),
    CategoryMake("kitchen", "Kitchen and dining", "Kitchenware", 990, 14900, 490),
    CategoryMake("electronics", "Electronics", "Electronics", 1990, 69900, 590),
    CategoryMake("computers", "Computers and accessories", "Computing", 990, 49900, 590),
    CategoryMake("books", "Books", "Books", 790, 3990, 290),
    CategoryMake("toys", "Toys and games", "Toys", 890, 6990, 390),
    CategoryMake("sports", "Sports and outdoors", "Outdoor", 1290, 19900, 490),
    CategoryMake("garden", "Garden", "Garden", 890, 24900, 690),
    CategoryMake("beauty", "Health and beauty", "Apothecary", 590, 5990, 350),
    CategoryMake("fashion", "Fashion", "Outfitters", 1490, 12900, 450),
    CategoryMake("food", "Food and wine", "Provisions", 690, 7990, 590),
    CategoryMake("pets", "Pet supplies", "Pet Supply", 590, 8990, 490),
    CategoryMake("stationery", "Stationery", "Paper", 390, 3990, 290),
)

HOUSES = (
    "Alder", "Amber", "Arrow", "Aster", "Baltic", "Beacon", "Birch", "Blue Door", "Bright", "Brook", "Cedar", "Clover",
    "Cobalt", "Copper", "Corner", "Crane", "Cress", "Dune", "Eastgate", "Elm", "Ember", "Fable", "Falcon", "Fennel",
    "Fern", "Finch", "Flint", "Foxglove", "Garnet", "Granite", "Harbour", "Hazel", "Heron", "Hilltop", "Iris", "Ivy",
    "Juniper", "Kestrel", "Lantern", "Lark", "Lime Tree", "Maple", "Marlin", "Meadow", "Merle", "Millstone", "Moss",
    "North Pier", "Oakfield", "Old Mill", "Otter", "Pebble", "Pine", "Plum", "Quarry", "Quill", "Raven", "Reed",
    "Ridge", "Rowan", "Saffron", "Sage", "Salt", "Slate", "Sparrow", "Spruce", "Starling", "Stone", "Swift", "Tansy",
    "Teal", "Thistle", "Thorn", "Tidal", "Vesper", "Violet", "Walnut", "Westwind", "Willow", "Wren",
)  # fmt: skip

CITIES = (
    ("Berlin", "BE", 37), ("Hamburg", "HH", 19), ("Munich", "BY", 15), ("Cologne", "NW", 11), ("Frankfurt", "HE", 8),
    ("Stuttgart", "BW", 6), ("Düsseldorf", "NW", 6), ("Leipzig", "SN", 6), ("Dortmund", "NW", 6), ("Essen", "NW", 6),
    ("Bremen", "HB", 6), ("Dresden", "SN", 6), ("Hanover", "NI", 5), ("Nuremberg", "BY", 5), ("Duisburg", "NW", 5),
    ("Bochum", "NW", 4), ("Wuppertal", "NW", 4), ("Bielefeld", "NW", 3), ("Bonn", "NW", 3), ("Münster", "NW", 3),
    ("Mannheim", "BW", 3), ("Karlsruhe", "BW", 3), ("Augsburg", "BY", 3), ("Kiel", "SH", 2), ("Freiburg", "BW", 2),
    ("Erfurt", "TH", 2), ("Mainz", "RP", 2), ("Rostock", "MV", 2), ("Kassel", "HE", 2), ("Potsdam", "BB", 2),
)  # fmt: skip
"""City, region and how often it is drawn."""

WEEKDAY_WEIGHTS = (112, 108, 101, 98, 94, 82, 91)
"""Orders by day of the week, Monday first."""

HOUR_WEIGHTS = (6, 3, 2, 1, 1, 2, 6, 14, 24, 34, 42, 44, 43, 42, 41, 42, 43, 45, 49, 57, 63, 58, 40, 18)

PAYMENT_METHODS = (("card", 58), ("wallet", 25), ("bank_transfer", 9), ("invoice", 8))
