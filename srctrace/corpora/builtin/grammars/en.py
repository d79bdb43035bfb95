"""English carriers."""

CARRIERS = (
    "The next train to {Bristol|Leeds|Oxford|Glasgow|York|Brighton|Cardiff|Dover} "
    "leaves from platform {2|3|4|5|6|8|9|11} at {6:15|7:20|8:45|9:30|10:50|11:25|5:40|3:35}.",
    "Two tickets for the {museum|theatre|concert|castle|zoo|cinema|opera|ballet} "
    "cost {18|22|25|31|36|43|49|58} pounds {ten|fifteen|twenty|thirty|forty|fifty|sixty|eighty}.",
    "Your appointment with Doctor {Taylor|Hughes|Morgan|Bennett|Cooper|Foster|Palmer|Spencer} "
    "is on {Monday|Tuesday|Wednesday|Thursday|Friday|Saturday} "
    "the {third|fifth|eighth|tenth|twelfth|fourteenth|nineteenth|twentieth} of {May|June|July|August}.",
    "Tomorrow it will be {sunny|cloudy|windy|foggy|rainy|stormy|mild|frosty} "
    "in the {north|south|east|west|mountains|valleys|islands|lowlands}, "
    "with {4|7|9|12|15|18|21|26} degrees.",
    "Please send the {parcel|letter|invoice|contract|key|cheque|package|catalogue} "
    "to {14|27|35|46|52|68|73|91} {Station|Church|Mill|Garden|Castle|Market|River|Forest} Road.",
    "My new number is {4 1 7|3 0 5|6 2 8|9 5 1|2 7 4|8 3 6|5 9 0|7 4 2}, "
    "{29|38|47|56|65|74|83|92}, {13|24|31|46|57|62|79|88}.",
    "We still need {apples|carrots|tomatoes|onions|lemons|potatoes|cherries|mushrooms}, "
    "{bread|rice|cheese|butter|honey|pasta|yoghurt|ham}, "
    "and {three|four|five|six|seven|eight|nine|ten} bottles of {water|milk|juice|beer|wine|cider|vinegar|oil}.",
    "Stir {150|200|250|300|350|400|450|500} grams of {flour|sugar|almonds|oats|cocoa|raisins|walnuts|barley} "
    "into the {cream|soup|batter|sauce|porridge|custard|dough|syrup}.",
    "From the {harbour|station|airport|village|church|market|bridge|school} "
    "to the {lake|beach|forest|hotel|farm|castle|library|hospital} "
    "it is about {2|3|6|8|11|14|17|25} kilometres.",
    "{Emma|Oliver|Sophie|Daniel|Lucy|Thomas|Hannah|George} finished the {race|marathon|chess game|crossword|tournament|"
    "quiz|regatta|rally} in {second|third|fourth|fifth|sixth|seventh|eighth|ninth} place.",
    "I left my {red|blue|green|yellow|black|brown|purple|orange} "
    "{umbrella|suitcase|jacket|scarf|wallet|notebook|bicycle|guitar} "
    "{on the bus|at the office|in the taxi|at the station|in the café|on the ferry|at the dentist|in the garage}.",
    "The old {bridge|tower|chapel|mill|town hall|lighthouse|palace|fortress} was built in "
    "{sixteen twelve|sixteen forty|seventeen thirty|seventeen fifty|eighteen ten|eighteen sixty|nineteen eleven|"
    "nineteen twenty} and {restored|painted|enlarged|repaired|rebuilt|sold|measured|closed} "
    "{20|30|40|50|60|70|80|90} years later.",
)
