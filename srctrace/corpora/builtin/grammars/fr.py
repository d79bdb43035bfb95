"""French carriers: longer than the others, since espeak speaks French faster."""

CARRIERS = (
    "Le prochain train à destination de {Bordeaux|Marseille|Strasbourg|Toulouse|Grenoble|Dijon|Nantes|Avignon} "
    "partira de la voie {2|3|4|5|6|8|9|11} à {6 heures 15|7 heures 20|8 heures 45|9 heures 30|10 heures 50|"
    "11 heures 25|17 heures 40|18 heures 35}.",
    "Deux billets d'entrée pour {le musée|le théâtre|le concert|le château|le zoo|le cinéma|l'opéra|le ballet} "
    "coûtent {18|22|25|31|36|43|49|58} euros et {dix|quinze|vingt|trente|quarante|cinquante|soixante|quatre-vingts} "
    "centimes.",
    "Votre rendez-vous avec le docteur {Moreau|Lefebvre|Garnier|Rousseau|Fontaine|Chevalier|Mercier|Lambert} "
    "est fixé au {lundi|mardi|mercredi|jeudi|vendredi|samedi} {3|5|8|10|12|14|19|20} "
    "{janvier|mars|avril|juin|juillet|août|octobre|décembre}.",
    "Demain, le temps sera {ensoleillé|nuageux|venteux|brumeux|pluvieux|orageux|doux|froid} "
    "{dans le nord|dans le sud|dans l'est|dans l'ouest|en montagne|sur les côtes|dans les plaines|en Bretagne}, "
    "avec une température de {4|7|9|12|15|18|21|26} degrés.",
    "Veuillez envoyer {le paquet|la lettre|la facture|le contrat|la clé|le chèque|le colis|le catalogue} "
    "avant la fin de la semaine au {14|27|35|46|52|68|73|91}, "
    "rue {de la Gare|de l'Église|du Moulin|du Jardin|du Château|du Marché|de la Rivière|de la Forêt}.",
    "Mon nouveau numéro de téléphone est le {06|07|09}, {17|28|36|45|59|61|72|84}, {29|38|47|56|65|74|83|92}, "
    "{13|24|31|46|57|62|79|88}.",
    "Il nous faut encore {des pommes|des carottes|des tomates|des oignons|des citrons|des poires|des cerises|des "
    "champignons}, "
    "{du pain|du riz|du fromage|du beurre|du miel|des pâtes|du jambon|du yaourt} "
    "et {trois|quatre|cinq|six|sept|huit|neuf|dix} bouteilles {d'eau|de lait|de jus|de bière|de vin|de cidre|"
    "d'huile|de vinaigre}.",
    "Mélangez doucement {150|200|250|300|350|400|450|500} grammes "
    "{de farine|de sucre|d'amandes|d'avoine|de cacao|de raisins secs|de noix|de semoule} "
    "avec {la crème|la soupe|la pâte|la sauce|la bouillie|le sirop|le bouillon|la compote}.",
    "Il y a environ {2|3|6|8|11|14|17|25} kilomètres "
    "entre {le port|la gare|l'aéroport|le village|l'église|le marché|le pont|l'école} "
    "et {le lac|la plage|la forêt|l'hôtel|la ferme|le château|la bibliothèque|l'hôpital}.",
    "À la surprise générale, {Emma|Olivier|Sophie|Daniel|Lucie|Thomas|Anna|Georges} a terminé {la course|le marathon|"
    "la partie d'échecs|le tournoi|le concours|la régate|le rallye} "
    "à la {deuxième|troisième|quatrième|cinquième|sixième|septième|huitième|neuvième} place.",
    "Je crois que j'ai oublié {mon parapluie|ma valise|ma veste|mon écharpe|mon cahier|mon vélo|ma guitare} "
    "{dans le bus|au bureau|dans le taxi|à la gare|au café|sur le bateau|chez le dentiste|dans le garage} "
    "{lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche} dernier.",
    "{Le pont|Le clocher|Le moulin|Le phare|Le palais|Le fort|Le couvent|Le manoir} a été construit en "
    "{1612|1648|1703|1756|1789|1824|1867|1893} "
    "puis {restauré|repeint|agrandi|réparé|vendu|mesuré|fermé|reconstruit} {20|30|40|50|60|70|80|90} ans plus tard.",
)
