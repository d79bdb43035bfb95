"""Italian carriers."""

CARRIERS = (
    "Il prossimo treno per {Bologna|Torino|Verona|Genova|Palermo|Firenze|Trieste|Salerno} "
    "parte dal binario {2|3|4|5|6|8|9|11} alle {6 e 15|7 e 20|8 e 45|9 e 30|10 e 50|11 e 25|17 e 40|18 e 35}.",
    "Due biglietti per {il museo|il teatro|il concerto|il castello|lo zoo|il cinema|l'opera|il balletto} "
    "costano {18|22|25|31|36|43|49|58} euro e {dieci|quindici|venti|trenta|quaranta|cinquanta|sessanta|ottanta}.",
    "Il suo appuntamento con il dottor {Ferrari|Colombo|Ricci|Marino|Conti|Galli|Fontana|Moretti} "
    "è {lunedì|martedì|mercoledì|giovedì|venerdì|sabato} {3|5|8|10|12|14|19|20} "
    "{gennaio|marzo|aprile|giugno|luglio|agosto|ottobre|dicembre}.",
    "Domani il tempo sarà {sereno|nuvoloso|ventoso|nebbioso|piovoso|instabile|mite|freddo} "
    "{al nord|al sud|a est|a ovest|in montagna|sulla costa|in pianura|sulle isole}, "
    "con {4|7|9|12|15|18|21|26} gradi.",
    "Spedisca {il pacco|la lettera|la fattura|il contratto|la chiave|l'assegno|il libro|il catalogo} "
    "in via {Garibaldi|Mazzini|Cavour|Dante|Verdi|Manzoni|Petrarca|Rossini}, {14|27|35|46|52|68|73|91}.",
    "Il mio nuovo numero è {4 1 7|3 0 5|6 2 8|9 5 1|2 7 4|8 3 6|5 9 0|7 4 2}, "
    "{29|38|47|56|65|74|83|92}, {13|24|31|46|57|62|79|88}.",
    "Ci servono ancora {mele|carote|pomodori|cipolle|limoni|patate|ciliegie|funghi}, "
    "{pane|riso|formaggio|burro|miele|pasta|prosciutto|yogurt} "
    "e {tre|quattro|cinque|sei|sette|otto|nove|dieci} bottiglie {d'acqua|di latte|di succo|di birra|di vino|di "
    "sidro|d'aceto|d'olio}.",
    "Mescolate {150|200|250|300|350|400|450|500} grammi di {farina|zucchero|mandorle|avena|cacao|uvetta|noci|semola} "
    "con {la panna|la zuppa|l'impasto|la salsa|la crema|lo sciroppo|il brodo|la composta}.",
    "{Dal porto|Dalla stazione|Dall'aeroporto|Dal paese|Dalla chiesa|Dal mercato|Dal ponte|Dalla scuola} "
    "{al lago|alla spiaggia|al bosco|all'albergo|alla fattoria|al castello|alla biblioteca|all'ospedale} "
    "ci sono {2|3|6|8|11|14|17|25} chilometri.",
    "{Emma|Marco|Sofia|Daniele|Lucia|Tommaso|Anna|Giorgio} ha finito "
    "{la corsa|la maratona|il rally|il torneo|il concorso|la regata|la gara|il campionato} "
    "al {secondo|terzo|quarto|quinto|sesto|settimo|ottavo|nono} posto.",
    "Ho dimenticato {l'ombrello|la valigia|la giacca|la sciarpa|il portafoglio|il quaderno|la bicicletta|la chitarra} "
    "{di mia sorella|di mio fratello|di mia zia|di mio zio|di mia madre|di mio padre|di mia nonna|di mio nonno} "
    "{in autobus|in ufficio|nel taxi|alla stazione|al bar|sul traghetto|dal dentista|nel garage}.",
    "{Il ponte|Il campanile|Il mulino|Il municipio|Il faro|Il palazzo|Il forte|Il convento} fu costruito nel "
    "{1612|1648|1703|1756|1789|1824|1867|1893} "
    "e {restaurato|dipinto|ampliato|riparato|venduto|misurato|chiuso|ricostruito} "
    "{20|30|40|50|60|70|80|90} anni dopo.",
)
