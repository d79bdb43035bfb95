"""German carriers."""

CARRIERS = (
    "Der nächste Zug nach {Hamburg|Dresden|Leipzig|Bremen|Mainz|Kassel|Lübeck|Freiburg} "
    "fährt um {6 Uhr 15|7 Uhr 20|8 Uhr 45|9 Uhr 30|10 Uhr 50|11 Uhr 25|17 Uhr 40|18 Uhr 35} "
    "von Gleis {2|3|4|5|6|8|9|11}.",
    "Zwei Karten für {das Museum|das Theater|das Konzert|das Schloss|den Zoo|das Kino|die Oper|das Ballett} "
    "kosten {18|22|25|31|36|43|49|58} Euro {zehn|fünfzehn|zwanzig|dreißig|vierzig|fünfzig|sechzig|achtzig}.",
    "Ihr Termin bei Frau {Becker|Schäfer|Neumann|Vogel|Winter|Krüger|Lehmann|Sommer} "
    "ist am {dritten|fünften|achten|zehnten|zwölften|vierzehnten|neunzehnten|zwanzigsten} "
    "{Januar|März|April|Juni|Juli|August|Oktober|Dezember}.",
    "Morgen wird es {im Norden|im Süden|im Osten|im Westen|an der Küste|in den Bergen|am Rhein|in der Stadt} "
    "{sonnig|wolkig|windig|neblig|regnerisch|stürmisch|mild|frostig}, bei {4|7|9|12|15|18|21|26} Grad.",
    "Bitte schicken Sie {das Paket|den Brief|die Rechnung|den Vertrag|den Schlüssel|den Katalog|die Karte|das Buch} "
    "in die {Bahnhof|Kirch|Mühlen|Garten|Schloss|Markt|Wald|Berg}straße {14|27|35|46|52|68|73|91}.",
    "Meine neue Nummer ist {4 1 7|3 0 5|6 2 8|9 5 1|2 7 4|8 3 6|5 9 0|7 4 2}, "
    "{29|38|47|56|65|74|83|92}, {13|24|31|46|57|62|79|88}.",
    "Wir brauchen noch {Äpfel|Karotten|Tomaten|Zwiebeln|Zitronen|Kartoffeln|Kirschen|Pilze}, "
    "{Brot|Reis|Käse|Butter|Honig|Nudeln|Joghurt|Schinken} "
    "und {drei|vier|fünf|sechs|sieben|acht|neun|zehn} Flaschen {Wasser|Milch|Saft|Bier|Wein|Essig|Öl|Most}.",
    "Rühren Sie {150|200|250|300|350|400|450|500} Gramm "
    "{Mehl|Zucker|Mandeln|Haferflocken|Kakao|Rosinen|Walnüsse|Grieß} "
    "in {die Sahne|die Suppe|den Teig|die Soße|den Brei|die Creme|den Sirup|die Masse}.",
    "{Vom Hafen|Vom Bahnhof|Vom Flughafen|Vom Dorf|Von der Kirche|Vom Markt|Von der Brücke|Von der Schule} "
    "bis {zum See|zum Strand|zum Wald|zum Hotel|zum Bauernhof|zum Schloss|zur Bücherei|zum Krankenhaus} "
    "sind es {2|3|6|8|11|14|17|25} Kilometer.",
    "Unser Nachbar {Lukas|Felix|Jonas|Daniel|Martin|Thomas|Jakob|Georg} "
    "wurde gestern {beim Rennen|beim Marathon|beim Schachspiel|beim Turnier|beim Quiz|bei der Regatta|beim Singen|"
    "beim Rudern} "
    "{Zweiter|Dritter|Vierter|Fünfter|Sechster|Siebter|Achter|Neunter}.",
    "Ich habe {den Schirm|den Koffer|die Jacke|den Schal|den Geldbeutel|das Heft|das Fahrrad|die Gitarre} "
    "{meiner Schwester|meines Bruders|meiner Tante|meines Onkels|meiner Mutter|meines Vaters|deiner Oma|deines Opas} "
    "{im Bus|im Büro|im Taxi|am Bahnhof|im Café|auf der Fähre|beim Zahnarzt|in der Garage} vergessen.",
    "{Die Brücke|Der Turm|Die Kapelle|Die Mühle|Das Rathaus|Der Leuchtturm|Der Palast|Die Festung} "
    "wurde im {sechzehnten|siebzehnten|achtzehnten|neunzehnten} Jahrhundert gebaut "
    "und {20|30|40|50|60|70|80|90} Jahre später {renoviert|bemalt|erweitert|repariert|verkauft|vermessen|geschlossen|"
    "versteigert}.",
)
