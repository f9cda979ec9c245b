"""Names of the classes of well-known data sets, in the order of their labels."""


def split_names(text: str) -> tuple[str, ...]:
    """Names between commas, over any number of lines."""
    return tuple(' '.join(name.split()) for name in text.split(','))


# COCO 2017, 80 classes of things.
COCO = split_names(
    """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
    parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
    surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
    broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv,
    laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase,
    scissors, teddy bear, hair drier, toothbrush
    """
)

# COCO panoptic 2017, 53 classes of stuff.
COCO_STUFF = split_names(
    """
    banner, blanket, bridge, cardboard, counter, curtain, door-stuff, floor-wood, flower, fruit, gravel, house,
    light, mirror-stuff, net, pillow, platform, playingfield, railroad, river, road, roof, sand, sea, shelf, snow,
    stairs, tent, towel, wall-brick, wall-stone, wall-tile, wall-wood, water-other, window-blind, window-other,
    tree-merged, fence-merged, ceiling-merged, sky-other-merged, cabinet-merged, table-merged, floor-other-merged,
    pavement-merged, mountain-merged, grass-merged, dirt-merged, paper-merged, food-other-merged,
    building-other-merged, rock-merged, wall-other-merged, rug-merged
    """
)

# PASCAL VOC 2007 and 2012.
VOC = split_names(
    """
    aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse, motorbike, person,
    pottedplant, sheep, sofa, train, tvmonitor
    """
)

# Cityscapes, the 8 classes with instances.
CITYSCAPES = split_names(
    """
    person, rider, car, truck, bus, train, motorcycle, bicycle
    """
)

# ImageNet detection (ILSVRC), 200 classes.
IMAGENET_DET = split_names(
    """
    accordion, airplane, ant, antelope, apple, armadillo, artichoke, axe, baby_bed, backpack, bagel, balance_beam,
    banana, band_aid, banjo, baseball, basketball, bathing_cap, beaker, bear, bee, bell_pepper, bench, bicycle,
    binder, bird, bookshelf, bow_tie, bow, bowl, brassiere, burrito, bus, butterfly, camel, can_opener, car, cart,
    cattle, cello, centipede, chain_saw, chair, chime, cocktail_shaker, coffee_maker, computer_keyboard,
    computer_mouse, corkscrew, cream, croquet_ball, crutch, cucumber, cup_or_mug, diaper, digital_clock, dishwasher,
    dog, domestic_cat, dragonfly, drum, dumbbell, electric_fan, elephant, face_powder, fig, filing_cabinet,
    flower_pot, flute, fox, french_horn, frog, frying_pan, giant_panda, goldfish, golf_ball, golfcart, guacamole,
    guitar, hair_dryer, hair_spray, hamburger, hammer, hamster, harmonica, harp, hat_with_a_wide_brim, head_cabbage,
    helmet, hippopotamus, horizontal_bar, horse, hotdog, iPod, isopod, jellyfish, koala_bear, ladle, ladybug, lamp,
    laptop, lemon, lion, lipstick, lizard, lobster, maillot, maraca, microphone, microwave, milk_can, miniskirt,
    monkey, motorcycle, mushroom, nail, neck_brace, oboe, orange, otter, pencil_box, pencil_sharpener, perfume,
    person, piano, pineapple, ping-pong_ball, pitcher, pizza, plastic_bag, plate_rack, pomegranate, popsicle,
    porcupine, power_drill, pretzel, printer, puck, punching_bag, purse, rabbit, racket, ray, red_panda,
    refrigerator, remote_control, rubber_eraser, rugby_ball, ruler, salt_or_pepper_shaker, saxophone, scorpion,
    screwdriver, seal, sheep, ski, skunk, snail, snake, snowmobile, snowplow, soap_dispenser, soccer_ball, sofa,
    spatula, squirrel, starfish, stethoscope, stove, strainer, strawberry, stretcher, sunglasses, swimming_trunks,
    swine, syringe, table, tape_player, tennis_ball, tick, tie, tiger, toaster, traffic_light, train, trombone,
    trumpet, turtle, tv_or_monitor, unicycle, vacuum, violin, volleyball, waffle_iron, washer, water_bottle,
    watercraft, whale, wine_bottle, zebra
    """
)

# ImageNet video detection (ILSVRC), 30 classes.
IMAGENET_VID = split_names(
    """
    airplane, antelope, bear, bicycle, bird, bus, car, cattle, dog, domestic_cat, elephant, fox, giant_panda,
    hamster, horse, lion, lizard, monkey, motorcycle, rabbit, red_panda, sheep, snake, squirrel, tiger, train,
    turtle, watercraft, whale, zebra
    """
)

# DeepFashion.
DEEPFASHION = split_names(
    """
    top, skirt, leggings, dress, outer, pants, bag, neckwear, headwear, eyeglass, belt, footwear, hair, skin, face
    """
)

# Objects365, first version.
OBJECTS365V1 = split_names(
    """
    person, sneakers, chair, hat, lamp, bottle, cabinet/shelf, cup, car, glasses, picture/frame, desk, handbag,
    street lights, book, plate, helmet, leather shoes, pillow, glove, potted plant, bracelet, flower, tv, storage
    box, vase, bench, wine glass, boots, bowl, dining table, umbrella, boat, flag, speaker, trash bin/can, stool,
    backpack, couch, belt, carpet, basket, towel/napkin, slippers, barrel/bucket, coffee table, suv, toy, tie, bed,
    traffic light, pen/pencil, microphone, sandals, canned, necklace, mirror, faucet, bicycle, bread, high heels,
    ring, van, watch, sink, horse, fish, apple, camera, candle, teddy bear, cake, motorcycle, wild bird, laptop,
    knife, traffic sign, cell phone, paddle, truck, cow, power outlet, clock, drum, fork, bus, hanger, nightstand,
    pot/pan, sheep, guitar, traffic cone, tea pot, keyboard, tripod, hockey, fan, dog, spoon, blackboard/whiteboard,
    balloon, air conditioner, cymbal, mouse, telephone, pickup truck, orange, banana, airplane, luggage, skis,
    soccer, trolley, oven, remote, baseball glove, paper towel, refrigerator, train, tomato, machinery vehicle,
    tent, shampoo/shower gel, head phone, lantern, donut, cleaning products, sailboat, tangerine, pizza, kite,
    computer box, elephant, toiletries, gas stove, broccoli, toilet, stroller, shovel, baseball bat, microwave,
    skateboard, surfboard, surveillance camera, gun, life saver, cat, lemon, liquid soap, zebra, duck, sports car,
    giraffe, pumpkin, piano, stop sign, radiator, converter, tissue , carrot, washing machine, vent, cookies,
    cutting/chopping board, tennis racket, candy, skating and skiing shoes, scissors, folder, baseball, strawberry,
    bow tie, pigeon, pepper, coffee machine, bathtub, snowboard, suitcase, grapes, ladder, pear, american football,
    basketball, potato, paint brush, printer, billiards, fire hydrant, goose, projector, sausage, fire extinguisher,
    extension cord, facial mask, tennis ball, chopsticks, electronic stove and gas stove, pie, frisbee, kettle,
    hamburger, golf club, cucumber, clutch, blender, tong, slide, hot dog, toothbrush, facial cleanser, mango, deer,
    egg, violin, marker, ship, chicken, onion, ice cream, tape, wheelchair, plum, bar soap, scale, watermelon,
    cabbage, router/modem, golf ball, pine apple, crane, fire truck, peach, cello, notepaper, tricycle, toaster,
    helicopter, green beans, brush, carriage, cigar, earphone, penguin, hurdle, swing, radio, CD, parking meter,
    swan, garlic, french fries, horn, avocado, saxophone, trumpet, sandwich, cue, kiwi fruit, bear, fishing rod,
    cherry, tablet, green vegetables, nuts, corn, key, screwdriver, globe, broom, pliers, volleyball, hammer,
    eggplant, trophy, dates, board eraser, rice, tape measure/ruler, dumbbell, hamimelon, stapler, camel, lettuce,
    goldfish, meat balls, medal, toothpaste, antelope, shrimp, rickshaw, trombone, pomegranate, coconut, jellyfish,
    mushroom, calculator, treadmill, butterfly, egg tart, cheese, pig, pomelo, race car, rice cooker, tuba,
    crosswalk sign, papaya, hair drier, green onion, chips, dolphin, sushi, urinal, donkey, electric drill, spring
    rolls, tortoise/turtle, parrot, flute, measuring cup, shark, steak, poker card, binoculars, llama, radish,
    noodles, yak, mop, crab, microscope, barbell, bread/bun, baozi, lion, red cabbage, polar bear, lighter, seal,
    mangosteen, comb, eraser, pitaya, scallop, pencil case, saw, table tennis paddle, okra, starfish, eagle, monkey,
    durian, game board, rabbit, french horn, ambulance, asparagus, hoverboard, pasta, target, hotair balloon,
    chainsaw, lobster, iron, flashlight
    """
)

# Objects365, second version; the spelling is that of its annotation files.
OBJECTS365V2 = split_names(
    """
    Person, Sneakers, Chair, Other Shoes, Hat, Car, Lamp, Glasses, Bottle, Desk, Cup, Street Lights, Cabinet/shelf,
    Handbag/Satchel, Bracelet, Plate, Picture/Frame, Helmet, Book, Gloves, Storage box, Boat, Leather Shoes, Flower,
    Bench, Potted Plant, Bowl/Basin, Flag, Pillow, Boots, Vase, Microphone, Necklace, Ring, SUV, Wine Glass, Belt,
    Moniter/TV, Backpack, Umbrella, Traffic Light, Speaker, Watch, Tie, Trash bin Can, Slippers, Bicycle, Stool,
    Barrel/bucket, Van, Couch, Sandals, Bakset, Drum, Pen/Pencil, Bus, Wild Bird, High Heels, Motorcycle, Guitar,
    Carpet, Cell Phone, Bread, Camera, Canned, Truck, Traffic cone, Cymbal, Lifesaver, Towel, Stuffed Toy, Candle,
    Sailboat, Laptop, Awning, Bed, Faucet, Tent, Horse, Mirror, Power outlet, Sink, Apple, Air Conditioner, Knife,
    Hockey Stick, Paddle, Pickup Truck, Fork, Traffic Sign, Ballon, Tripod, Dog, Spoon, Clock, Pot, Cow, Cake,
    Dinning Table, Sheep, Hanger, Blackboard/Whiteboard, Napkin, Other Fish, Orange/Tangerine, Toiletry, Keyboard,
    Tomato, Lantern, Machinery Vehicle, Fan, Green Vegetables, Banana, Baseball Glove, Airplane, Mouse, Train,
    Pumpkin, Soccer, Skiboard, Luggage, Nightstand, Tea pot, Telephone, Trolley, Head Phone, Sports Car, Stop Sign,
    Dessert, Scooter, Stroller, Crane, Remote, Refrigerator, Oven, Lemon, Duck, Baseball Bat, Surveillance Camera,
    Cat, Jug, Broccoli, Piano, Pizza, Elephant, Skateboard, Surfboard, Gun, Skating and Skiing shoes, Gas stove,
    Donut, Bow Tie, Carrot, Toilet, Kite, Strawberry, Other Balls, Shovel, Pepper, Computer Box, Toilet Paper,
    Cleaning Products, Chopsticks, Microwave, Pigeon, Baseball, Cutting/chopping Board, Coffee Table, Side Table,
    Scissors, Marker, Pie, Ladder, Snowboard, Cookies, Radiator, Fire Hydrant, Basketball, Zebra, Grape, Giraffe,
    Potato, Sausage, Tricycle, Violin, Egg, Fire Extinguisher, Candy, Fire Truck, Billards, Converter, Bathtub,
    Wheelchair, Golf Club, Briefcase, Cucumber, Cigar/Cigarette , Paint Brush, Pear, Heavy Truck, Hamburger,
    Extractor, Extention Cord, Tong, Tennis Racket, Folder, American Football, earphone, Mask, Kettle, Tennis, Ship,
    Swing, Coffee Machine, Slide, Carriage, Onion, Green beans, Projector, Frisbee, Washing Machine/Drying Machine,
    Chicken, Printer, Watermelon, Saxophone, Tissue, Toothbrush, Ice cream, Hotair ballon, Cello, French Fries,
    Scale, Trophy, Cabbage, Hot dog, Blender, Peach, Rice, Wallet/Purse, Volleyball, Deer, Goose, Tape, Tablet,
    Cosmetics, Trumpet, Pineapple, Golf Ball, Ambulance, Parking meter, Mango, Key, Hurdle, Fishing Rod, Medal,
    Flute, Brush, Penguin, Megaphone, Corn, Lettuce, Garlic, Swan, Helicopter, Green Onion, Sandwich, Nuts, Speed
    Limit Sign, Induction Cooker, Broom, Trombone, Plum, Rickshaw, Goldfish, Kiwi fruit, Router/modem, Poker Card,
    Toaster, Shrimp, Sushi, Cheese, Notepaper, Cherry, Pliers, CD, Pasta, Hammer, Cue, Avocado, Hamimelon, Flask,
    Mushroon, Screwdriver, Soap, Recorder, Bear, Eggplant, Board Eraser, Coconut, Tape Measur/ Ruler, Pig,
    Showerhead, Globe, Chips, Steak, Crosswalk Sign, Stapler, Campel, Formula 1 , Pomegranate, Dishwasher, Crab,
    Hoverboard, Meat ball, Rice Cooker, Tuba, Calculator, Papaya, Antelope, Parrot, Seal, Buttefly, Dumbbell,
    Donkey, Lion, Urinal, Dolphin, Electric Drill, Hair Dryer, Egg tart, Jellyfish, Treadmill, Lighter, Grapefruit,
    Game board, Mop, Radish, Baozi, Target, French, Spring Rolls, Monkey, Rabbit, Pencil Case, Yak, Red Cabbage,
    Binoculars, Asparagus, Barbell, Scallop, Noddles, Comb, Dumpling, Oyster, Table Teniis paddle, Cosmetics
    Brush/Eyeliner Pencil, Chainsaw, Eraser, Lobster, Durian, Okra, Lipstick, Cosmetics Mirror, Curling, Table
    Tennis
    """
)
