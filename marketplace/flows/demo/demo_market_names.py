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

GOODS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "home_textiles": (
        ("Tablecloth", "Bath towel", "Bed linen", "Cushion cover", "Curtain", "Throw", "Napkins", "Kitchen towel"),
        ("natural", "sand", "indigo", "olive"),
    ),
    "furniture": (
        ("Chair", "Side table", "Bookcase", "Stool", "Bench", "Desk", "Bedside table", "Coat rack"),
        ("oak", "beech", "walnut", "white"),
    ),
    "kitchen": (
        ("Saucepan", "Chopping board", "Mixing bowl", "Teapot", "Knife", "Plate", "Mug", "Colander"),
        ("small", "medium", "large", "set of four"),
    ),
    "electronics": (
        ("Headphones", "Speaker", "Radio", "Clock", "Camera", "Record player", "Torch", "Projector"),
        ("black", "silver", "white", "red"),
    ),
    "computers": (
        ("Keyboard", "Mouse", "Monitor", "USB hub", "Cable", "Laptop stand", "Webcam", "Memory card"),
        ("compact", "standard", "large", "pair"),
    ),
    "books": (
        ("A History of Bread", "The Lighthouse", "North by Train", "Small Gardens", "The Weaver", "Islands", "Ink",
         "Winter Cooking"),
        ("paperback", "hardback", "large print", "illustrated"),
    ),
    "toys": (
        ("Building blocks", "Puzzle", "Kite", "Wooden train", "Board game", "Doll", "Marbles", "Spinning top"),
        ("small", "medium", "large", "travel size"),
    ),
    "sports": (
        ("Rucksack", "Sleeping bag", "Water bottle", "Yoga mat", "Bicycle lamp", "Rain jacket", "Gloves", "Tent"),
        ("green", "blue", "grey", "orange"),
    ),
    "garden": (
        ("Watering can", "Spade", "Flower pot", "Seed box", "Hose", "Lantern", "Bird table", "Deckchair"),
        ("small", "medium", "large", "pair"),
    ),
    "beauty": (
        ("Soap", "Hand cream", "Shampoo", "Shaving brush", "Bath salts", "Lip balm", "Comb", "Face oil"),
        ("lavender", "rosemary", "unscented", "citrus"),
    ),
    "fashion": (
        ("Shirt", "Scarf", "Belt", "Jumper", "Trousers", "Socks", "Cap", "Raincoat"),
        ("black", "navy", "grey", "brown"),
    ),
    "food": (
        ("Coffee", "Olive oil", "Honey", "Red wine", "Tea", "Chocolate", "Pasta", "Mustard"),
        ("small", "large", "organic", "box of six"),
    ),
    "pets": (
        ("Dog basket", "Cat food", "Lead", "Bird seed", "Feeding bowl", "Scratching post", "Chew toy", "Blanket"),
        ("small", "medium", "large", "extra large"),
    ),
    "stationery": (
        ("Notebook", "Fountain pen", "Envelope", "Calendar", "Pencil case", "Paper", "Stamp pad", "Folder"),
        ("A4", "A5", "A6", "set of three"),
    ),
}  # fmt: skip
"""By category what is sold, and in which kinds: eight times four, more than a merchant has products."""

PEOPLE = (
    "Ada Brandt", "Ben Okafor", "Clara Weiss", "Dilan Yıldız", "Emil Novak", "Farah Haddad", "Greta Lindqvist",
    "Hugo Almeida", "Ines Moreau", "Jonas Keller", "Kira Petrova", "Liu Wen", "Mara Silva",
)  # fmt: skip
"""The buyers of the live orders."""
