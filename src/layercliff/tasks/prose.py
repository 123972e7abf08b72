"""Held-out text written for layercliff: a dozen paragraphs and four openings."""

LICENCE = "Apache-2.0 (written for layercliff)"

PARAGRAPHS: tuple[str, ...] = (
    # a recipe
    "Peel four large potatoes and cut them into slices as thick as a coin. Boil them in salted water for about eight "
    "minutes, until a knife "
    "goes in without effort, then drain them well. Meanwhile, fry two onions in butter over a low flame. When the "
    "onions are soft and "
    "golden, add the potatoes, a spoon of mustard and some black pepper. Serve the dish while it is hot, with a "
    "green salad on the side.",
    # how something works
    "A bicycle stays upright because its rider keeps steering it back under his own weight. When the frame begins to "
    "lean to the left, the "
    "front wheel turns a little to the left as well, and the bicycle moves underneath the rider again. At higher "
    "speed the corrections are "
    "smaller and come more easily. That is why a beginner wobbles: he rides so slowly that every mistake has time to "
    "grow.",
    # a letter
    "Dear Mrs Keller, thank you for your letter of the third of May. I am sorry to hear that the lamp you ordered "
    "arrived with a broken "
    "shade. We have sent a new one today, and you should have it by the end of the week. You need not return the "
    "damaged part. If anything "
    "else is missing, please write to us again or call our office between nine and five. With kind regards, Thomas "
    "Brand.",
    # geography
    "A river begins in the hills as a stream that a child can jump across. On its way down it takes in other "
    "streams, grows wider and slows "
    "down, and it drops the sand and the mud that it can no longer carry. Where it reaches the sea, this mud builds "
    "up new land, cut by many "
    "shallow channels. Farmers have always liked such places, because the soil is rich, and feared them, because of "
    "the floods.",
    # a story
    "The last train had gone when Anna reached the station. Rain ran down the windows of the empty waiting room, and "
    "the clock above the "
    "door had stopped at twenty past two. She sat down on her suitcase and counted her money: enough for coffee, not "
    "enough for a hotel. "
    "Then she heard steps on the platform. An old man with a lantern looked in, shook his head and asked whether she "
    "liked soup.",
    # a news report
    "The town council voted on Tuesday to close the old bridge to cars from next spring. Engineers had found cracks "
    "in two of its five "
    "arches and warned that heavy traffic could make them worse. Pedestrians and cyclists will still be able to "
    "cross. Shop owners on the "
    "east bank fear that they will lose customers, while people who live nearby said that they were looking forward "
    "to quieter nights.",
    # biology
    "Bees do not see the world as we do. Red looks dark to them, but they can see ultraviolet light, which is hidden "
    "from our eyes. Many "
    "flowers that seem plain yellow to us carry bright lines in this light, which lead straight to the nectar. A bee "
    "that has found a good "
    "field returns to the hive and dances, and the direction of her dance tells the others which way to fly and how "
    "far.",
    # instructions
    "Before you change a light bulb, switch off the lamp and let the glass cool down for a few minutes. Stand on "
    "something steady, not on a "
    "chair with wheels. Turn the old bulb to the left until it comes out, and look at the number printed on its "
    "base, since the new one must "
    "not be stronger than the lamp allows. Screw in the new bulb gently. If it does not light up, check the fuse next.",
    # history
    "For thousands of years people told the time by the sun, and a day had twelve hours in summer as well as in "
    "winter, so that a summer "
    "hour was longer. Clocks with wheels changed this. They struck the same hour all year round, and soon whole "
    "towns lived by the bell in "
    "the tower. When the railways came, even neighbouring towns had to agree, because a timetable is of no use if "
    "every station keeps its own noon.",
    # money
    "Suppose you put one hundred coins into a bank that pays five percent a year. After the first year you have one "
    "hundred and five. In "
    "the second year you are paid for the extra five as well, so that you end with a little more than one hundred "
    "and ten. The difference "
    "seems too small to notice. Yet if you leave the money alone for fifty years, it will have grown to more than "
    "eleven times what it was.",
    # a conversation
    '"Have you seen my keys?" asked Peter. His sister did not look up from her book. "Where did you have them last?" '
    'she said. "If I knew '
    'that, I would not be asking." He opened the drawer, then the fridge, and lifted the cat from the armchair. '
    'Something clinked. "She has '
    'been sitting on them the whole morning," said Peter. "No wonder that she looks so pleased," his sister '
    "answered, and turned the page.",
    # medicine
    "When you cut your finger, the body starts to repair it at once. The small vessels around the wound become "
    "narrow, so that less blood is "
    "lost, and tiny cells in the blood stick together and close the gap. Threads of protein hold them in place and "
    "dry to a crust. Below it "
    "new skin grows in from the edges. After a week or two the crust falls off, and often only a thin pale line is "
    "left.",
)

OPENINGS: tuple[str, ...] = (
    "The easiest way to learn a new language is to",
    "Once upon a time, in a small village by the sea, there lived",
    "Water boils at a lower temperature on a high mountain because",
    "To make a good cup of tea, you first have to",
)
