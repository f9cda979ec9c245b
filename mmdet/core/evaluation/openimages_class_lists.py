"""Names of the classes of Open Images.

They were not checked against the data set's own files: compare their order with `class-descriptions-boxable.csv` before
labels are read by it.
"""

from mmdet.core.evaluation.class_lists import split_names

# Open Images V6, 601 classes with boxes.
OID_V6 = split_names(
    """
    Tortoise, Container, Magpie, Sea turtle, Football, Ambulance, Ladder, Toothbrush, Syringe, Sink, Toy, Organ
    (Musical Instrument), Cassette deck, Apple, Human eye, Cosmetics, Paddle, Snowman, Beer, Chopsticks, Human
    beard, Bird, Parking meter, Traffic light, Croissant, Cucumber, Radish, Towel, Doll, Skull, Washing machine,
    Glove, Tick, Belt, Sunglasses, Banjo, Cart, Ball, Backpack, Bicycle, Home appliance, Centipede, Boat, Surfboard,
    Boot, Headphones, Hot dog, Shorts, Fast food, Bus, Boy, Screwdriver, Bicycle wheel, Barge, Laptop, Miniskirt,
    Drill (Tool), Dress, Bear, Waffle, Pancake, Brown bear, Woodpecker, Blue jay, Pretzel, Bagel, Tower, Teapot,
    Person, Bow and arrow, Swimwear, Beehive, Brassiere, Bee, Bat (Animal), Starfish, Popcorn, Burrito, Chainsaw,
    Balloon, Wrench, Tent, Vehicle registration plate, Lantern, Toaster, Flashlight, Billboard, Tiara, Limousine,
    Necklace, Carnivore, Scissors, Stairs, Computer keyboard, Printer, Traffic sign, Chair, Shirt, Poster, Cheese,
    Sock, Fire hydrant, Land vehicle, Earrings, Tie, Watercraft, Cabinetry, Suitcase, Muffin, Bidet, Snack,
    Snowmobile, Clock, Medical equipment, Cattle, Cello, Jet ski, Camel, Coat, Suit, Desk, Cat, Bronze sculpture,
    Juice, Gondola, Beetle, Cannon, Computer mouse, Cookie, Office building, Fountain, Coin, Calculator, Cocktail,
    Computer monitor, Box, Stapler, Christmas tree, Cowboy hat, Hiking equipment, Studio couch, Drum, Dessert, Wine
    rack, Drink, Zucchini, Ladle, Human mouth, Dairy Product, Dice, Oven, Dinosaur, Ratchet (Device), Couch, Cricket
    ball, Winter melon, Spatula, Whiteboard, Pencil sharpener, Door, Hat, Shower, Eraser, Fedora, Guacamole, Dagger,
    Scarf, Dolphin, Sombrero, Tin can, Mug, Tap, Harbor seal, Stretcher, Can opener, Goggles, Human body, Roller
    skates, Coffee cup, Cutting board, Blender, Plumbing fixture, Stop sign, Office supplies, Volleyball (Ball),
    Vase, Slow cooker, Wardrobe, Coffee, Whisk, Paper towel, Personal care, Food, Sun hat, Tree house, Flying disc,
    Skirt, Gas stove, Salt and pepper shakers, Mechanical fan, Face powder, Fax, Fruit, French fries, Nightstand,
    Barrel, Kite, Tart, Treadmill, Fox, Flag, French horn, Window blind, Human foot, Golf cart, Jacket, Egg (Food),
    Street light, Guitar, Pillow, Human leg, Isopod, Grape, Human ear, Power plugs and sockets, Panda, Giraffe,
    Woman, Door handle, Rhinoceros, Bathtub, Goldfish, Houseplant, Goat, Baseball bat, Baseball glove, Mixing bowl,
    Marine invertebrates, Kitchen utensil, Light switch, House, Horse, Stationary bicycle, Hammer, Ceiling fan, Sofa
    bed, Adhesive tape, Harp, Sandal, Bicycle helmet, Saucer, Harpsichord, Human hair, Heater, Harmonica, Hamster,
    Curtain, Bed, Kettle, Fireplace, Scale, Drinking straw, Insect, Hair dryer, Kitchenware, Indoor rower,
    Invertebrate, Food processor, Bookcase, Refrigerator, Wood-burning stove, Punching bag, Common fig, Cocktail
    shaker, Jaguar (Animal), Golf ball, Fashion accessory, Alarm clock, Filing cabinet, Artichoke, Table, Tableware,
    Kangaroo, Koala, Knife, Bottle, Bottle opener, Lynx, Lavender (Plant), Lighthouse, Dumbbell, Human head, Bowl,
    Humidifier, Porch, Lizard, Billiard table, Mammal, Mouse, Motorcycle, Musical instrument, Swim cap, Frying pan,
    Snowplow, Bathroom cabinet, Missile, Bust, Man, Waffle iron, Milk, Ring binder, Plate, Mobile phone, Baked
    goods, Mushroom, Crutch, Pitcher (Container), Mirror, Personal flotation device, Table tennis racket, Pencil
    case, Musical keyboard, Scoreboard, Briefcase, Kitchen knife, Nail (Construction), Tennis ball, Plastic bag,
    Oboe, Chest of drawers, Ostrich, Piano, Girl, Plant, Potato, Hair spray, Sports equipment, Pasta, Penguin,
    Pumpkin, Pear, Infant bed, Polar bear, Mixer, Cupboard, Jacuzzi, Pizza, Digital clock, Pig, Reptile, Rifle,
    Lipstick, Skateboard, Raven, High heels, Red panda, Rose, Rabbit, Sculpture, Saxophone, Shotgun, Seafood,
    Submarine sandwich, Snowboard, Sword, Picture frame, Sushi, Loveseat, Ski, Squirrel, Tripod, Stethoscope,
    Submarine, Scorpion, Segway, Training bench, Snake, Coffee table, Skyscraper, Sheep, Television, Trombone, Tea,
    Tank, Taco, Telephone, Torch, Tiger, Strawberry, Trumpet, Tree, Tomato, Train, Tool, Picnic basket, Cooking
    spray, Trousers, Bowling equipment, Football helmet, Truck, Measuring cup, Coffeemaker, Violin, Vehicle,
    Handbag, Paper cutter, Wine, Weapon, Wheel, Worm, Wok, Whale, Zebra, Auto part, Jug, Pizza cutter, Cream,
    Monkey, Lion, Bread, Platter, Chicken, Eagle, Helicopter, Owl, Duck, Turtle, Hippopotamus, Crocodile, Toilet,
    Toilet paper, Squid, Clothing, Footwear, Lemon, Spider, Deer, Frog, Banana, Rocket, Wine glass, Countertop,
    Tablet computer, Waste container, Swimming pool, Dog, Book, Elephant, Shark, Candle, Leopard, Axe, Hand dryer,
    Soap dispenser, Porcupine, Flower, Canary, Cheetah, Palm tree, Hamburger, Maple, Building, Fish, Lobster, Garden
    Asparagus, Furniture, Hedgehog, Airplane, Spoon, Otter, Bull, Oyster, Horizontal bar, Convenience store, Bomb,
    Bench, Ice cream, Caterpillar, Butterfly, Parachute, Orange, Antelope, Beaker, Moths and butterflies, Window,
    Closet, Castle, Jellyfish, Goose, Mule, Swan, Peach, Coconut, Seat belt, Raccoon, Chisel, Fork, Lamp, Camera,
    Squash (Plant), Racket, Human face, Human arm, Vegetable, Diaper, Unicycle, Falcon, Chime, Snail, Shellfish,
    Cabbage, Carrot, Mango, Jeans, Flowerpot, Pineapple, Drawer, Stool, Envelope, Cake, Dragonfly, Common sunflower,
    Microwave oven, Honeycomb, Marine mammal, Sea lion, Ladybug, Shelf, Watch, Candy, Salad, Parrot, Handgun,
    Sparrow, Van, Grinder, Spice rack, Light bulb, Corded phone, Sports uniform, Tennis racket, Wall clock, Serving
    tray, Kitchen & dining room table, Dog bed, Cake stand, Cat furniture, Bathroom accessory, Facial tissue holder,
    Pressure cooker, Kitchen appliance, Tire, Ruler, Luggage and bags, Microphone, Broccoli, Umbrella, Pastry,
    Grapefruit, Band-aid, Animal, Bell pepper, Turkey, Lily, Pomegranate, Doughnut, Glasses, Human nose, Pen, Ant,
    Car, Aircraft, Human hand, Skunk, Teddy bear, Watermelon, Cantaloupe, Dishwasher, Flute, Balance beam, Sandwich,
    Shrimp, Sewing machine, Binoculars, Rays and skates, Ipod, Accordion, Willow, Crab, Crown, Seahorse, Perfume,
    Alpaca, Taxi, Canoe, Remote control, Wheelchair, Rugby ball, Armadillo, Maracas, Helmet
    """
)

# Open Images Challenge 2019, 500 classes. The challenge calls two classes 'Mouse' and two 'Bench'; here they are
# told apart.
OID_CHALLENGE = split_names(
    """
    Footwear, Jeans, House, Tree, Woman, Man, Land vehicle, Person, Wheel, Bus, Human face, Bird, Dress, Girl,
    Vehicle, Building, Cat, Car, Belt, Elephant, Dessert, Butterfly, Train, Guitar, Poster, Book, Boy, Bee, Flower,
    Window, Hat, Human head, Dog, Human arm, Drink, Human mouth, Human hair, Human nose, Human hand, Table, Marine
    invertebrates, Fish, Sculpture, Rose, Street light, Glasses, Fountain, Skyscraper, Swimwear, Brassiere, Drum,
    Duck, Countertop, Furniture, Ball, Human leg, Boat, Balloon, Bicycle helmet, Goggles, Door, Human eye, Shirt,
    Toy, Teddy bear, Pasta, Tomato, Human ear, Vehicle registration plate, Microphone, Musical keyboard, Tower,
    Houseplant, Flowerpot, Fruit, Vegetable, Musical instrument, Suit, Motorcycle, Bagel, French fries, Hamburger,
    Chair, Salt and pepper shakers, Snail, Airplane, Horse, Laptop, Computer keyboard, Football helmet, Cocktail,
    Juice, Tie, Computer monitor, Human beard, Bottle, Saxophone, Lemon, Computer mouse, Sock, Cowboy hat, Sun hat,
    Football, Porch, Sunglasses, Lobster, Crab, Picture frame, Van, Crocodile, Surfboard, Shorts, Helicopter,
    Helmet, Sports uniform, Taxi, Swan, Goose, Coat, Jacket, Handbag, Flag, Skateboard, Television, Tire, Spoon,
    Palm tree, Stairs, Salad, Castle, Oven, Microwave oven, Wine, Ceiling fan, Mechanical fan, Cattle, Truck, Box,
    Ambulance, Desk, Wine glass, Reptile, Tank, Traffic light, Billboard, Tent, Insect, Spider, Treadmill, Cupboard,
    Shelf, Seat belt, Human foot, Bicycle, Bicycle wheel, Couch, Bookcase, Fedora, Backpack, Bench, Oyster, Moths
    and butterflies, Lavender, Waffle, Fork, Animal, Accordion, Mobile phone, Plate, Coffee cup, Saucer, Platter,
    Dagger, Knife, Bull, Tortoise, Sea turtle, Deer, Weapon, Apple, Ski, Taco, Traffic sign, Beer, Necklace,
    Sunflower, Piano, Organ, Harpsichord, Bed, Cabinetry, Nightstand, Curtain, Chest of drawers, Drawer, Parrot,
    Sandal, High heels, Tableware, Cart, Mushroom, Kite, Missile, Seafood, Camera, Paper towel, Toilet paper,
    Sombrero, Radish, Lighthouse, Segway, Pig, Watercraft, Golf cart, Studio couch, Dolphin, Whale, Earrings, Otter,
    Sea lion, Whiteboard, Monkey, Gondola, Zebra, Baseball glove, Scarf, Adhesive tape, Trousers, Scoreboard, Lily,
    Carnivore, Power plugs and sockets, Office building, Sandwich, Swimming pool, Headphones, Tin can, Crown, Doll,
    Cake, Frog, Beetle, Ant, Gas stove, Canoe, Falcon, Blue jay, Egg, Fire hydrant, Raccoon, Muffin, Wall clock,
    Coffee, Mug, Tea, Bear, Waste container, Home appliance, Candle, Lion, Mirror, Starfish, Marine mammal,
    Wheelchair, Umbrella, Alpaca, Violin, Cello, Brown bear, Canary, Bat, Ruler, Plastic bag, Penguin, Watermelon,
    Harbor seal, Pen, Pumpkin, Harp, Kitchen appliance, Roller skates, Bust, Coffee table, Tennis ball, Tennis
    racket, Ladder, Boot, Bowl, Stop sign, Volleyball, Eagle, Paddle, Chicken, Skull, Lamp, Beehive, Maple, Sink,
    Goldfish, Tripod, Coconut, Bidet, Tap, Bathroom cabinet, Toilet, Filing cabinet, Pretzel, Table tennis racket,
    Bronze sculpture, Rocket, Mouse, Hamster, Lizard, Lifejacket, Goat, Washing machine, Trumpet, Horn, Trombone,
    Sheep, Tablet computer, Pillow, Kitchen & dining room table, Parachute, Raven, Glove, Loveseat, Christmas tree,
    Shellfish, Rifle, Shotgun, Sushi, Sparrow, Bread, Toaster, Watch, Asparagus, Artichoke, Suitcase, Antelope,
    Broccoli, Ice cream, Racket, Banana, Cookie, Cucumber, Dragonfly, Lynx, Caterpillar, Light bulb, Office
    supplies, Miniskirt, Skirt, Fireplace, Potato, Light switch, Croissant, Cabbage, Ladybug, Handgun, Luggage and
    bags, Window blind, Snowboard, Baseball bat, Digital clock, Serving tray, Infant bed, Sofa bed, Guacamole, Fox,
    Pizza, Snowplow, Jet ski, Refrigerator, Lantern, Convenience store, Sword, Rugby ball, Owl, Ostrich, Pancake,
    Strawberry, Carrot, Tart, Dice, Turkey, Rabbit, Invertebrate, Vase, Stool, Swim cap, Shower, Clock, Jellyfish,
    Aircraft, Chopsticks, Orange, Snake, Sewing machine, Kangaroo, Mixer, Food processor, Shrimp, Towel, Porcupine,
    Jaguar, Cannon, Limousine, Mule, Squirrel, Kitchen knife, Tiara, Tiger, Bow and arrow, Candy, Rhinoceros, Shark,
    Cricket ball, Doughnut, Plumbing fixture, Camel, Polar bear, Coin, Printer, Blender, Giraffe, Billiard table,
    Kettle, Dinosaur, Pineapple, Zucchini, Jug, Barge, Teapot, Golf ball, Binoculars, Scissors, Hot dog, Door
    handle, Seahorse, Bathtub, Leopard, Centipede, Grapefruit, Snowman, Cheetah, Alarm clock, Grape, Wrench, Wok,
    Bell pepper, Cake stand, Barrel, Woodpecker, Flute, Corded phone, Willow, Punching bag, Pomegranate, Telephone,
    Pear, Common fig, Training bench, Wood-burning stove, Burrito, Nail, Turtle, Submarine sandwich, Drinking straw,
    Peach, Popcorn, Frying pan, Picnic basket, Honeycomb, Envelope, Mango, Cutting board, Pitcher, Stationary
    bicycle, Dumbbell, Personal care, Dog bed, Snowmobile, Oboe, Briefcase, Squash, Tick, Slow cooker, Coffeemaker,
    Measuring cup, Crutch, Stretcher, Screwdriver, Flashlight, Spatula, Pressure cooker, Ring binder, Beaker, Torch,
    Winter melon
    """
)
