"""Polish carriers. Numbers that are inflected are written as words."""

CARRIERS = (
    "Pociąg do {Krakowa|Gdańska|Lublina|Szczecina|Poznania|Opola|Torunia|Wrocławia} "
    "odjeżdża o {szóstej|siódmej|ósmej|dziewiątej|dziesiątej|jedenastej|trzynastej|piętnastej} "
    "{dziesięć|piętnaście|dwadzieścia|trzydzieści|czterdzieści|pięćdziesiąt} "
    "z {drugiego|trzeciego|czwartego|piątego} peronu.",
    "Dwa bilety do {muzeum|teatru|zamku|kina|opery|ogrodu|pałacu|planetarium} "
    "kosztują {18|25|36|45|49|56|67|78} złotych "
    "{dziesięć|piętnaście|dwadzieścia|trzydzieści|czterdzieści|sześćdziesiąt} groszy.",
    "Wizyta u doktora {Nowaka|Wójcika|Kowala|Mazura|Zająca|Wrony|Górnego|Malinowskiego} "
    "jest {trzeciego|piątego|ósmego|dziesiątego|dwunastego|czternastego|dziewiętnastego|dwudziestego} "
    "{stycznia|marca|kwietnia|czerwca|lipca|sierpnia|października|grudnia}.",
    "Jutro {na północy|na południu|na wschodzie|na zachodzie|w górach|nad morzem|na wyżynach|w mieście} będzie "
    "{słonecznie|pochmurno|wietrznie|mgliście|deszczowo|burzowo|łagodnie|mroźno}, {5|7|9|12|15|18|26|27} stopni.",
    "Proszę wysłać {paczkę|list|fakturę|umowę|klucz|czek|książkę|katalog} "
    "na ulicę {Kolejową|Kościelną|Młyńską|Ogrodową|Zamkową|Targową|Rzeczną|Leśną} {14|27|35|46|52|68|73|91}.",
    "Mój nowy numer to {4 1 7|3 0 5|6 2 8|9 5 1|2 7 4|8 3 6|5 9 0|7 4 2}, "
    "{29|38|47|56|65|74|83|92}, {13|24|31|46|57|62|79|88}.",
    "Potrzebujemy jeszcze {jabłek|marchewek|pomidorów|cebuli|cytryn|ziemniaków|wiśni|grzybów}, "
    "{chleba|ryżu|sera|masła|miodu|makaronu|jogurtu|szynki} "
    "i {pięć|sześć|siedem|osiem|dziewięć|dziesięć} butelek {wody|mleka|soku|piwa|wina|octu|oleju}.",
    "Proszę wymieszać {150|200|250|300|350|400|450|500} gramów "
    "{mąki|cukru|migdałów|owsa|kakao|rodzynek|orzechów|kaszy} "
    "{ze śmietaną|z zupą|z ciastem|z sosem|z owsianką|z kremem|z syropem|z bulionem}.",
    "{Z portu|Z dworca|Z lotniska|Ze wsi|Z kościoła|Z rynku|Z mostu|Ze szkoły} "
    "{nad jezioro|na plażę|do lasu|do hotelu|do gospodarstwa|do zamku|do biblioteki|do szpitala} "
    "jest {5|6|8|11|14|17|25|36} kilometrów.",
    "{Emma|Zofia|Hanna|Łucja|Anna|Maria|Klara|Ewa} zajęła "
    "{w wyścigu|w maratonie|w turnieju|w quizie|w regatach|w rajdzie|w konkursie|w zawodach} "
    "{drugie|trzecie|czwarte|piąte|szóste|siódme|ósme|dziewiąte} miejsce.",
    "Parasol {siostry|brata|ciotki|wujka|matki|ojca|babci|dziadka} został "
    "{w autobusie|w biurze|w taksówce|na dworcu|w kawiarni|na promie|u dentysty|w garażu}, "
    "a {walizka|kurtka|gitara|książka|mapa|torba|czapka|lampa} w domu.",
    "Ten stary {most|zamek|młyn|ratusz|pałac|klasztor|dwór|kościół} zbudowano "
    "w {szesnastym|siedemnastym|osiemnastym|dziewiętnastym} wieku "
    "i {odnowiono|pomalowano|powiększono|naprawiono|sprzedano|zmierzono|zamknięto|odbudowano} "
    "po {30|40|50|60|70|80} latach.",
)
